-- 问：同住一户的人当中，有多少对的码不一样？各是什么码？
-- Question: How many pairs of people who share a household have codes that differ, and which codes?
-- Two people who met at home in the 14 days before are one pair, however often they met.
WITH pairs AS (
    SELECT DISTINCT least(person_a, person_b) AS one, greatest(person_a, person_b) AS other
    FROM contacts
    WHERE setting = 'household'
        AND started_at > TIMESTAMPTZ '2020-02-04T00:00:00+08:00'
        AND started_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
)
SELECT
    least(a.colour, b.colour) AS one_code,
    greatest(a.colour, b.colour) AS other_code,
    count(*) AS pairs,
    round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent
FROM pairs AS p
JOIN codes AS a ON a.person = p.one
JOIN codes AS b ON b.person = p.other
GROUP BY least(a.colour, b.colour), greatest(a.colour, b.colour)
ORDER BY pairs DESC, one_code, other_code;
