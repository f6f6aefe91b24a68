-- 问：最近 14 天每人接触过多少人？接触多的人红码是否更多？
-- Question: How many different people did everybody meet in the last 14 days, and are those who met more people red more often?
WITH met AS (
    SELECT person_a AS person, person_b AS other FROM contacts
    WHERE started_at >= TIMESTAMPTZ '2020-02-04T00:00:00+08:00' AND started_at < TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
    UNION ALL
    SELECT person_b AS person, person_a AS other FROM contacts
    WHERE started_at >= TIMESTAMPTZ '2020-02-04T00:00:00+08:00' AND started_at < TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
),
degrees AS (
    SELECT person, count(DISTINCT other) AS others FROM met GROUP BY person
),
people AS (
    SELECT
        c.colour,
        coalesce(d.others, 0) AS others,
        CASE
            WHEN d.others IS NULL THEN 0
            WHEN d.others < 5 THEN 1
            WHEN d.others < 10 THEN 5
            WHEN d.others < 20 THEN 10
            WHEN d.others < 40 THEN 20
            WHEN d.others < 80 THEN 40
            ELSE 80
        END AS met_at_least
    FROM codes AS c
    LEFT JOIN degrees AS d ON d.person = c.person
)
SELECT
    met_at_least,
    max(others) AS met_at_most,
    count(*) AS people,
    count(*) FILTER (WHERE colour = 'red') AS red,
    round(100.0 * count(*) FILTER (WHERE colour = 'red') / count(*), 1) AS red_percent
FROM people
GROUP BY met_at_least
ORDER BY met_at_least;
