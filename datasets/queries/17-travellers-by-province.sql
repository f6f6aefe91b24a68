-- 问：最近 14 天从各风险地区来了多少人？来自哪些省、什么级别？现在什么码？
-- Question: How many people came from areas of risk in the last 14 days, by province and level, and what codes do they have?
-- By a stay that ended since then or goes on, or by where the standing declaration says that they came from.
WITH came AS (
    SELECT person, region FROM stays
    WHERE entered_at < TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
        AND coalesce(left_at > TIMESTAMPTZ '2020-02-04T00:00:00+08:00', true)
    UNION
    SELECT person, came_from AS region FROM standing_declarations
    WHERE coalesce(arrived_at, declared_at) > TIMESTAMPTZ '2020-02-04T00:00:00+08:00' AND came_from IS NOT NULL
),
areas AS (
    SELECT met.region, region_level(met.region) AS level, p.code AS province
    FROM (SELECT DISTINCT region FROM came) AS met
    JOIN regions AS p ON p.parent IS NULL AND region_within(met.region, p.code)
)
SELECT
    a.province,
    region_name(a.province, 'zh') AS name,
    a.level,
    count(DISTINCT came.person) AS people,
    count(DISTINCT came.person) FILTER (WHERE c.colour = 'red') AS red,
    count(DISTINCT came.person) FILTER (WHERE c.colour = 'yellow') AS yellow,
    count(DISTINCT came.person) FILTER (WHERE c.colour = 'green') AS green
FROM areas AS a
JOIN came ON came.region = a.region
JOIN codes AS c ON c.person = came.person
WHERE a.level IN ('key', 'high', 'elevated', 'medium')
GROUP BY a.province, a.level
ORDER BY people DESC, a.province, a.level;
