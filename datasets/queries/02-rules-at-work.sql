-- 问：每条规则各管着多少人？其中多少人只因这一条？白名单又免除了多少人？
-- Question: How many people does each rule hold, how many of them by it alone, and how many does the white list excuse from it?
WITH held AS (
    SELECT unnest(reasons) AS rule, array_length(reasons) AS rules_of_person FROM codes
),
by_rule AS (
    SELECT rule, count(*) AS people, count(*) FILTER (WHERE rules_of_person = 1) AS by_it_alone FROM held GROUP BY rule
),
excused AS (
    SELECT rule, count(*) AS people FROM (SELECT unnest(excused) AS rule FROM codes) AS each GROUP BY rule
)
SELECT
    r.id AS rule,
    r.colour,
    r.cite,
    r.title_zh,
    coalesce(h.people, 0) AS people,
    coalesce(h.by_it_alone, 0) AS by_it_alone,
    coalesce(e.people, 0) AS excused
FROM rules AS r
LEFT JOIN by_rule AS h ON h.rule = r.id
LEFT JOIN excused AS e ON e.rule = r.id
ORDER BY r.number;
