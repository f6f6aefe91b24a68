-- 问：这个人为什么是红码？各条规则从何时起算，最早何时解除？
-- Question: Why is this person red: which rules hold, since when, on what grounds, and when does each end at the earliest?
SELECT
    person,
    colour,
    rule,
    rule_colour,
    cite,
    trigger_at,
    release_at,
    green_at,
    array_to_string(because_zh, '；') AS because_zh,
    array_to_string(because_en, '; ') AS because_en
FROM explain('ccb019147')
ORDER BY rule;
