-- 问：每天有多少人在集中隔离、居家观察？当天进出各多少？
-- Question: How many people were in quarantine at the end of each day, and how many went in and out on it?
SELECT
    CAST(days.day AS DATE) AS day,
    count(q.id) FILTER (WHERE q.kind = 'centralised' AND coalesce(local_day(q.ended_at) > days.day, true)) AS centralised,
    count(q.id) FILTER (WHERE q.kind = 'home' AND coalesce(local_day(q.ended_at) > days.day, true)) AS at_home,
    count(q.id) FILTER (WHERE local_day(q.started_at) = days.day) AS went_in,
    count(q.id) FILTER (WHERE local_day(q.ended_at) = days.day) AS came_out
FROM generate_series(DATE '2020-01-26', DATE '2020-02-17', INTERVAL '1 day') AS days(day)
LEFT JOIN quarantines AS q ON local_day(q.started_at) <= days.day AND coalesce(local_day(q.ended_at) >= days.day, true)
GROUP BY days.day
ORDER BY day;
