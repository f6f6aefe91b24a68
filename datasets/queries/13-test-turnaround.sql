-- 问：各区县核酸检测多少小时出结果？阳性率多少？还有多少人在等结果？
-- Question: How many hours does a test take in each district, what share is positive, and how many results are awaited?
-- The shipped epidemic has no tests, so that its answer is of zeros.
WITH people AS (
    SELECT d.person, CASE WHEN d.residence > 999999 THEN r.parent ELSE d.residence END AS district
    FROM standing_declarations AS d
    JOIN regions AS r ON r.code = d.residence
),
known AS (
    SELECT
        person,
        resulted_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00' AS is_known,
        result = 'positive' AS is_positive,
        (date_part('epoch', resulted_at) - date_part('epoch', sampled_at)) / 3600 AS hours
    FROM tests
    WHERE sampled_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
)
SELECT
    p.district,
    region_name(p.district, 'zh') AS name,
    count(DISTINCT t.person) AS people_tested,
    count(*) FILTER (WHERE t.is_known) AS results,
    count(*) FILTER (WHERE t.is_known AND t.is_positive) AS positive,
    count(*) FILTER (WHERE NOT t.is_known) AS awaited,
    round(median(t.hours) FILTER (WHERE t.is_known), 1) AS median_hours,
    round(max(t.hours) FILTER (WHERE t.is_known), 1) AS longest_hours
FROM people AS p
LEFT JOIN known AS t ON t.person = p.person
GROUP BY p.district
ORDER BY p.district;
