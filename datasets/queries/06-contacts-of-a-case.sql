-- 问：一名病例的一代、二代接触者各有多少人？如何接触？现在是什么码？
-- Question: How many people are one and two contacts away from a case, how were they met, and what codes do they have now?
-- Somebody met at home and at school counts in both lines; those without a code have not declared.
SELECT
    m.degree,
    m.setting,
    count(DISTINCT m.person) AS people,
    count(*) AS contacts,
    count(DISTINCT m.person) FILTER (WHERE c.colour = 'red') AS red,
    count(DISTINCT m.person) FILTER (WHERE c.colour = 'yellow') AS yellow,
    count(DISTINCT m.person) FILTER (WHERE c.colour = 'green') AS green,
    count(DISTINCT m.person) FILTER (WHERE c.colour IS NULL) AS no_code,
    round(sum(m.duration_s) / 3600.0, 1) AS hours
FROM contacts_of('c1cdca711', 2) AS m
LEFT JOIN codes AS c ON c.person = m.person
GROUP BY m.degree, m.setting
ORDER BY m.degree, m.setting;
