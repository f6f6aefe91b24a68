-- 问：多少家庭里同住的人码色不同？
-- Question: In how many families do people who live together have codes of different colours?
-- A family is everybody whom contacts at home link, also over others, and is called by the least token in it.
WITH RECURSIVE at_home AS (
    SELECT person_a AS person, person_b AS other FROM contacts WHERE setting = 'household'
    UNION
    SELECT person_b AS person, person_a AS other FROM contacts WHERE setting = 'household'
),
linked AS (
    SELECT person, other FROM at_home
    UNION
    SELECT l.person, h.other FROM linked AS l JOIN at_home AS h ON h.person = l.other
),
members AS (
    SELECT person, min(other) AS family FROM linked GROUP BY person
),
families AS (
    SELECT
        m.family,
        count(*) AS people,
        count(*) FILTER (WHERE c.colour = 'green') AS green,
        count(*) FILTER (WHERE c.colour = 'yellow') AS yellow,
        count(*) FILTER (WHERE c.colour = 'red') AS red
    FROM members AS m
    JOIN codes AS c ON c.person = m.person
    GROUP BY m.family
    HAVING count(*) > 1
)
SELECT
    green > 0 AS has_green,
    yellow > 0 AS has_yellow,
    red > 0 AS has_red,
    count(*) AS families,
    sum(people) AS people,
    sum(red) AS red_people,
    round(avg(people), 2) AS mean_size
FROM families
GROUP BY green > 0, yellow > 0, red > 0
ORDER BY families DESC, has_green, has_yellow, has_red;
