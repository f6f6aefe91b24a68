-- 问：各企业（未填企业的按区县）员工最近 7 天的健康打卡率如何？
-- Question: How well did the people of each enterprise (of each district, where none is given) check in over the last seven days?
-- The thirty that did it least, of ten people or more.
WITH days AS (
    SELECT person, count(DISTINCT local_day(reported_at)) AS days
    FROM checkins
    WHERE reported_at >= TIMESTAMPTZ '2020-02-11T00:00:00+08:00' AND reported_at < TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
    GROUP BY person
),
people AS (
    SELECT
        d.person,
        coalesce(
            d.enterprise,
            region_name(CASE WHEN d.residence > 999999 THEN r.parent ELSE d.residence END, 'zh'),
            '?'
        ) AS unit
    FROM standing_declarations AS d
    JOIN regions AS r ON r.code = d.residence
)
SELECT
    p.unit,
    count(*) AS people,
    count(*) FILTER (WHERE t.days = 7) AS every_day,
    count(*) FILTER (WHERE t.days IS NULL) AS never,
    round(100.0 * coalesce(sum(t.days), 0) / (7 * count(*)), 1) AS percent_of_days
FROM people AS p
LEFT JOIN days AS t ON t.person = p.person
GROUP BY p.unit
HAVING count(*) >= 10
ORDER BY percent_of_days, p.unit
LIMIT 30;
