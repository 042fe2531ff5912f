SELECT device,
       strftime(time_bucket(INTERVAL '1 day', t), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
       avg(data.temp) AS temp_avg, min(data.temp) AS temp_min, max(data.temp) AS temp_max, count(*) AS n,
       count(DISTINCT time_bucket(INTERVAL '1 minute', t)) AS minutes, count(DISTINCT time_bucket(INTERVAL '1 hour', t)) AS hours
FROM (SELECT *, make_timestamp(CAST(floor(ts * 1e6) AS BIGINT)) AS t FROM read_json('$INPUT', format = 'array', columns = {
  'device': 'VARCHAR', 'ts': 'DOUBLE',
  'data': 'STRUCT(co DOUBLE, humidity DOUBLE, light BOOLEAN, lpg DOUBLE, motion BOOLEAN, smoke DOUBLE, temp DOUBLE)'}))
WHERE data.humidity >= 0 AND data.humidity <= 100 AND data.temp > -40
GROUP BY device, window_start
