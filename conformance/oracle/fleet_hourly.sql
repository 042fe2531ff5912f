SELECT strftime(time_bucket(INTERVAL '1 hour', make_timestamp(CAST(floor(ts * 1e6) AS BIGINT))), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
       avg(data.temp) AS temp_avg, max(data.temp) AS temp_max, count(*) AS n
FROM read_json('$INPUT', format = 'array', columns = {
  'device': 'VARCHAR', 'ts': 'DOUBLE',
  'data': 'STRUCT(co DOUBLE, humidity DOUBLE, light BOOLEAN, lpg DOUBLE, motion BOOLEAN, smoke DOUBLE, temp DOUBLE)'})
WHERE data.humidity >= 0 AND data.humidity <= 100 AND data.temp > -40
GROUP BY window_start
