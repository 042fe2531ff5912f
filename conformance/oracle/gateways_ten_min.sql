SELECT device,
       strftime(time_bucket(INTERVAL '10 minutes', make_timestamp(CAST(floor(ts * 1e6) AS BIGINT))), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
       avg(data.temp) AS temp_avg, max(data.temp) AS temp_max, min(data.humidity) AS humidity_min, max(data.humidity) AS humidity_max,
       avg(data.co) AS co_avg, stddev_samp(data.smoke) AS smoke_stddev, arg_max(data.light, ts) AS light_last, count(*) AS n
FROM read_json('$INPUT', format = 'array', columns = {
  'device': 'VARCHAR', 'ts': 'DOUBLE',
  'data': 'STRUCT(co DOUBLE, humidity DOUBLE, light BOOLEAN, lpg DOUBLE, motion BOOLEAN, smoke DOUBLE, temp DOUBLE)'})
WHERE data.humidity >= 0 AND data.humidity <= 100 AND data.temp > -40
GROUP BY device, window_start
