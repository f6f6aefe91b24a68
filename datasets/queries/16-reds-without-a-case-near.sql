-- 问：最近 14 天与任何病例都没有接触、也未同处一地的红码有多少？因何为红码？
-- Question: How many reds have met no confirmed case in 14 days, neither by a contact nor in one place, and why are they red?
-- The twenty sets of rules under which there are most.
WITH known_cases AS (
    SELECT DISTINCT person FROM cases
    WHERE kind = 'confirmed' AND reported_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
),
recent AS (
    SELECT person_a, person_b FROM contacts
    WHERE started_at >= TIMESTAMPTZ '2020-02-04T00:00:00+08:00' AND started_at < TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
),
in_place AS (
    SELECT person, place, entered_at, left_at FROM stays
    WHERE place IS NOT NULL
        AND entered_at < TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
        AND left_at >= TIMESTAMPTZ '2020-02-04T00:00:00+08:00'
),
near AS (
    SELECT r.person_b AS person FROM recent AS r JOIN known_cases AS k ON k.person = r.person_a
    UNION
    SELECT r.person_a AS person FROM recent AS r JOIN known_cases AS k ON k.person = r.person_b
    UNION
    SELECT s.person
    FROM known_cases AS k
    JOIN in_place AS c ON c.person = k.person
    JOIN in_place AS s ON s.place = c.place AND s.person <> c.person AND s.entered_at < c.left_at AND s.left_at > c.entered_at
)
SELECT
    array_to_string(c.reasons, ' + ') AS because,
    count(*) AS red,
    count(*) FILTER (WHERE n.person IS NULL) AS no_case_near,
    round(100.0 * count(*) FILTER (WHERE n.person IS NULL) / count(*), 1) AS percent
FROM codes AS c
LEFT JOIN near AS n ON n.person = c.person
WHERE c.colour = 'red'
GROUP BY array_to_string(c.reasons, ' + ')
ORDER BY no_case_near DESC, because
LIMIT 20;
