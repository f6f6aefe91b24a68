-- 问：各区县绿码、黄码、红码各有多少人？红码占比多少？
-- Question: How many people in each district have a green, a yellow and a red code, and what share of them is red?
-- People live where their standing declaration says; a street belongs to the district above it.
WITH people AS (
    SELECT c.colour, CASE WHEN d.residence > 999999 THEN r.parent ELSE d.residence END AS district
    FROM codes AS c
    JOIN standing_declarations AS d ON d.person = c.person
    JOIN regions AS r ON r.code = d.residence
)
SELECT
    district,
    region_name(district, 'zh') AS name,
    count(*) AS people,
    count(*) FILTER (WHERE colour = 'green') AS green,
    count(*) FILTER (WHERE colour = 'yellow') AS yellow,
    count(*) FILTER (WHERE colour = 'red') AS red,
    round(100.0 * count(*) FILTER (WHERE colour = 'red') / count(*), 1) AS red_percent
FROM people
GROUP BY district
ORDER BY red_percent DESC, district;
