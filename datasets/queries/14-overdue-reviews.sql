-- 问：复核申请承诺 3 个工作日内答复，各区县有多少已超期？
-- Question: A review is promised an answer within 3 working days: how many are overdue in each district, and how many came late?
-- What is decided later is open now. The shipped epidemic has no reviews, so that its answer is of zeros.
WITH filed AS (
    SELECT
        district,
        state,
        coalesce(decided_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00', false) AS is_decided,
        working_days(filed_at, least(decided_at, TIMESTAMPTZ '2020-02-18T00:00:00+08:00')) AS days
    FROM reviews
    WHERE filed_at <= TIMESTAMPTZ '2020-02-18T00:00:00+08:00'
),
districts AS (
    SELECT district FROM filed
    UNION
    SELECT CASE WHEN d.residence > 999999 THEN r.parent ELSE d.residence END AS district
    FROM standing_declarations AS d
    JOIN regions AS r ON r.code = d.residence
)
SELECT
    d.district,
    region_name(d.district, 'zh') AS name,
    count(f.days) AS filed,
    count(*) FILTER (WHERE f.is_decided) AS decided,
    count(*) FILTER (WHERE f.is_decided AND f.state = 'corrected') AS corrected,
    count(*) FILTER (WHERE f.is_decided AND f.days > 3) AS decided_late,
    count(*) FILTER (WHERE NOT f.is_decided) AS open,
    count(*) FILTER (WHERE NOT f.is_decided AND f.days > 3) AS overdue,
    max(f.days) AS longest_days
FROM districts AS d
LEFT JOIN filed AS f ON f.district = d.district
GROUP BY d.district
ORDER BY overdue DESC, d.district;
