-- 问：申报有发热等症状、此后从未健康打卡的有哪些人？
-- Question: Who declared a fever or another symptom and has never checked in since?
-- A list of whom to call: the longest silent first, thirty at most.
SELECT
    d.person,
    coalesce(region_name(d.residence, 'zh'), region_name(r.parent, 'zh')) AS lives_in,
    d.declared_at,
    DATE '2020-02-18' - local_day(d.declared_at) AS days_silent,
    d.fever,
    d.dyspnea,
    d.respiratory,
    c.colour,
    array_to_string(c.reasons, ' + ') AS because
FROM standing_declarations AS d
JOIN codes AS c ON c.person = d.person
JOIN regions AS r ON r.code = d.residence
WHERE (d.fever OR d.dyspnea OR d.respiratory)
    AND NOT EXISTS (
        SELECT 1 FROM checkins AS k
        WHERE k.person = d.person
            AND k.reported_at >= d.declared_at
            AND k.reported_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
    )
ORDER BY d.declared_at, d.person
LIMIT 30;
