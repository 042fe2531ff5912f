WITH hours AS (
  SELECT device, strftime(time_bucket(INTERVAL '1 hour', make_timestamp(CAST(floor(ts * 1e6) AS BIGINT))), '%Y-%m-%dT%H:%M:%SZ') AS window_start,
         avg(data.temp) AS temp_avg, max(data.co) AS co_max, count(*) AS n
  FROM (SELECT DISTINCT device, ts, data FROM read_json('$INPUT', format = 'array', columns = {
  'device': 'VARCHAR', 'ts': 'DOUBLE',
  'data': 'STRUCT(co DOUBLE, humidity DOUBLE, light BOOLEAN, lpg DOUBLE, motion BOOLEAN, smoke DOUBLE, temp DOUBLE)'}))
  GROUP BY ALL)
SELECT h.*, coalesce(r.room, 'unknown') AS room, r.floor AS floor, r.heated AS heated
FROM hours h LEFT JOIN read_csv(replace('$INPUT', 'raw_data_large.json', 'rooms.csv'), header = true,
  columns = {'device': 'VARCHAR', 'room': 'VARCHAR', 'floor': 'BIGINT', 'heated': 'BOOLEAN'}) r ON r.device = h.device
