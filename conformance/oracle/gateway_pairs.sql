WITH readings AS (
  SELECT device, CAST(floor(ts * 1e6) AS BIGINT) AS us, data.motion AS motion, data.smoke AS smoke
  FROM read_json('$INPUT', format = 'array', columns = {
  'device': 'VARCHAR', 'ts': 'DOUBLE',
  'data': 'STRUCT(co DOUBLE, humidity DOUBLE, light BOOLEAN, lpg DOUBLE, motion BOOLEAN, smoke DOUBLE, temp DOUBLE)'}))
SELECT l.device AS device, strftime(time_bucket(INTERVAL '1 hour', make_timestamp(l.us)), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
       count(*) AS pairs, avg(r.smoke) AS smoke_avg, max(r.smoke) AS smoke_max
FROM readings l JOIN readings r ON l.device = r.device AND r.us BETWEEN l.us - 30000000 AND l.us + 10000000
WHERE l.motion AND r.smoke > 0.019
GROUP BY ALL
