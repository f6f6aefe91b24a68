-- 问：最近四天，每天新增红码多少人？各因哪条规则？
-- Question: How many people turned red on each of the last four days, and by which rule?
-- Codes at five midnights under the rules of today, each beside the one before; whoever is red by two rules counts with both.
WITH midnights AS (
    SELECT 0 AS day, person, colour, reasons FROM codes_at('2020-02-14T00:00:00+08:00')
    UNION ALL
    SELECT 1 AS day, person, colour, reasons FROM codes_at('2020-02-15T00:00:00+08:00')
    UNION ALL
    SELECT 2 AS day, person, colour, reasons FROM codes_at('2020-02-16T00:00:00+08:00')
    UNION ALL
    SELECT 3 AS day, person, colour, reasons FROM codes_at('2020-02-17T00:00:00+08:00')
    UNION ALL
    SELECT 4 AS day, person, colour, reasons FROM codes
),
turned_red AS (
    SELECT after.day, unnest(after.reasons) AS rule
    FROM midnights AS after
    LEFT JOIN midnights AS before ON before.person = after.person AND before.day = after.day - 1
    WHERE after.day > 0 AND after.colour = 'red' AND coalesce(before.colour, 'none') <> 'red'
)
SELECT
    r.id AS rule,
    count(t.day) FILTER (WHERE t.day = 1) AS on_the_14th,
    count(t.day) FILTER (WHERE t.day = 2) AS on_the_15th,
    count(t.day) FILTER (WHERE t.day = 3) AS on_the_16th,
    count(t.day) FILTER (WHERE t.day = 4) AS on_the_17th,
    count(t.day) AS in_four_days
FROM rules AS r
LEFT JOIN turned_red AS t ON t.rule = r.id
WHERE r.colour = 'red'
GROUP BY r.id, r.number
ORDER BY r.number;
