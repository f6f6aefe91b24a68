-- 问：若无新情况，明天零点前哪些人转绿？他们今天因何是红码、黄码？
-- Question: Who turns green by midnight tomorrow if nothing new is recorded, and what holds them today?
SELECT
    today.colour AS colour_today,
    array_to_string(today.reasons, ' + ') AS because,
    count(*) AS people,
    min(today.valid_until) AS first_change_at,
    max(today.valid_until) AS last_change_at
FROM codes AS today
JOIN codes_at('2020-02-19T00:00:00+08:00') AS tomorrow ON tomorrow.person = today.person
WHERE today.colour IN ('yellow', 'red') AND tomorrow.colour = 'green'
GROUP BY today.colour, array_to_string(today.reasons, ' + ')
ORDER BY people DESC, colour_today, because;
