-- 问：哪些人申报“未到过重点地区”，行程或来源地却不符？多少已认定谎报？现在什么码？
-- Question: How many declared no visit to a key area though a stay or their own origin says otherwise, how many of these
-- declarations are found to be false, and what codes do they have?
WITH visits AS (
    SELECT d.person, 'a stay in the 14 days before' AS told_by
    FROM standing_declarations AS d
    JOIN stays AS s ON s.person = d.person
    WHERE NOT d.visited_key_area
        AND region_level(s.region) = 'key'
        AND s.entered_at <= d.declared_at
        AND coalesce(s.left_at >= d.declared_at - INTERVAL '14 days', true)
    UNION
    SELECT d.person, 'where they came from' AS told_by
    FROM standing_declarations AS d
    WHERE NOT d.visited_key_area AND region_level(d.came_from) = 'key'
),
found AS (
    SELECT DISTINCT person FROM findings
    WHERE found_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
        AND coalesce(lifted_at > TIMESTAMPTZ '2020-02-18T00:00:00+08:00', true)
)
SELECT
    v.told_by,
    c.colour,
    count(*) AS people,
    count(f.person) AS found_false,
    count(*) FILTER (WHERE array_to_string(c.reasons, '+') LIKE '%area-key%') AS held_by_area_key
FROM visits AS v
JOIN codes AS c ON c.person = v.person
LEFT JOIN found AS f ON f.person = v.person
GROUP BY v.told_by, c.colour
ORDER BY v.told_by, c.colour;
