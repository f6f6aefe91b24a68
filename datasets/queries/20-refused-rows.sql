-- 问：各表收到多少行？退回多少行？因何退回？
-- Question: How many rows of each table are kept, how many were refused, and for what reasons?
WITH kept AS (
    SELECT 'declarations' AS name, count(*) AS kept FROM declarations
    UNION ALL SELECT 'checkins', count(*) FROM checkins
    UNION ALL SELECT 'cases', count(*) FROM cases
    UNION ALL SELECT 'quarantines', count(*) FROM quarantines
    UNION ALL SELECT 'contacts', count(*) FROM contacts
    UNION ALL SELECT 'stays', count(*) FROM stays
    UNION ALL SELECT 'risk_areas', count(*) FROM risk_areas
    UNION ALL SELECT 'tests', count(*) FROM tests
    UNION ALL SELECT 'whitelist', count(*) FROM whitelist
    UNION ALL SELECT 'findings', count(*) FROM findings
    UNION ALL SELECT 'reviews', count(*) FROM reviews
),
refused AS (
    SELECT "table" AS name, reason, count(*) AS refused FROM rejections GROUP BY "table", reason
)
SELECT k.name AS table_name, k.kept, coalesce(r.refused, 0) AS refused, r.reason
FROM kept AS k
LEFT JOIN refused AS r ON r.name = k.name
ORDER BY k.name, refused DESC, r.reason;
