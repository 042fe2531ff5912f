WITH lines AS (
  SELECT line FROM read_csv('$INPUT', header = false, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', strict_mode = false)
  WHERE json_valid(line)
), records AS (
  SELECT json_extract_string(line, '$.device') AS device, CAST(json_extract_string(line, '$.ts') AS TIMESTAMP) AS ts,
         json_extract_string(line, '$.site') AS site, CAST(line ->> '$.temp' AS DOUBLE) AS temp, CAST(line ->> '$.setpoint' AS DOUBLE) AS setpoint,
         CAST(line ->> '$.ambient' AS DOUBLE) AS ambient, CAST(line ->> '$.speed' AS DOUBLE) AS speed, CAST(line ->> '$.fuel' AS DOUBLE) AS fuel,
         CAST(line ->> '$.seq' AS BIGINT) AS seq
  FROM lines
), once AS ( -- a record that was sent twice is the same line
  SELECT * FROM records
  QUALIFY device IS NULL OR seq IS NULL OR row_number() OVER (PARTITION BY device, seq) = 1
)
SELECT device, strftime(time_bucket(INTERVAL '5 minutes', ts), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
       arg_max(site, ts) AS site, avg(temp) AS temp_avg, min(temp) AS temp_min, max(temp) AS temp_max, max(temp - setpoint) AS over_max,
       avg(ambient) AS ambient_avg, avg(speed) AS speed_avg, arg_max(fuel, ts) AS fuel_last, count(*) AS n
FROM once
WHERE temp > -60 AND temp < 80
GROUP BY device, window_start
