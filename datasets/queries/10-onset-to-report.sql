-- 问：从发病到报告平均要几天？逐周是否在缩短？
-- Question: How many days pass from onset to report, and does it get shorter from week to week?
WITH delays AS (
    SELECT
        CAST(date_trunc('week', local_day(reported_at)) AS DATE) AS week,
        local_day(reported_at) - local_day(onset_at) AS days
    FROM cases
    WHERE kind = 'confirmed' AND reported_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
)
SELECT
    week AS week_from,
    count(*) AS cases,
    count(*) - count(days) AS onset_unknown,
    round(avg(days), 2) AS mean_days,
    median(CAST(days AS DOUBLE)) AS median_days,
    max(days) AS longest_days,
    count(*) FILTER (WHERE days > 3) AS over_three_days
FROM delays
GROUP BY week
ORDER BY week;
