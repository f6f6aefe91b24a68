-- 问：确诊病例在传染期内到过哪些场所、车厢？与他们同时在场的有多少人？
-- Question: In which places and carriages were confirmed cases while infectious, and how many people were there with them?
-- Infectious from onset (or report) until isolation or outcome, as the rules have it; only stays that have ended count.
-- The twenty worst.
WITH infectious AS (
    SELECT
        s.place,
        s.person,
        greatest(s.entered_at, coalesce(c.onset_at, c.reported_at)) AS from_at,
        least(s.left_at, c.isolated_at, c.outcome_at) AS until_at
    FROM cases AS c
    JOIN stays AS s ON s.person = c.person
    WHERE c.kind = 'confirmed'
        AND c.reported_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
        AND coalesce(c.outcome, 'none') <> 'ruled_out'
        AND s.place IS NOT NULL
        AND s.left_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
)
SELECT
    i.place,
    count(DISTINCT i.person) AS cases,
    count(DISTINCT s.person) AS exposed,
    count(DISTINCT s.person) FILTER (WHERE c.colour = 'red') AS exposed_now_red,
    min(i.from_at) AS first_case_at,
    max(i.until_at) AS last_case_until
FROM infectious AS i
JOIN stays AS s ON s.place = i.place AND s.person <> i.person AND s.entered_at < i.until_at AND s.left_at > i.from_at
LEFT JOIN codes AS c ON c.person = s.person
WHERE i.from_at < i.until_at AND s.left_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
GROUP BY i.place
ORDER BY exposed DESC, i.place
LIMIT 20;
