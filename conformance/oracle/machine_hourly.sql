SELECT strftime(time_bucket(INTERVAL '1 hour', timestamp), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
       avg(value) AS value_avg, min(value) AS value_min, max(value) AS value_max, stddev_samp(value) AS value_stddev,
       avg((value - 32) / 1.8) AS celsius_avg, count(*) AS n
FROM read_csv('$INPUT', header = true, columns = {'timestamp': 'TIMESTAMP', 'value': 'DOUBLE'})
WHERE value > -50 AND value < 300
GROUP BY window_start
