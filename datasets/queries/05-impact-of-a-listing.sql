-- 问：若把吴兴区列为高风险地区，会有多少人变码？从什么码变成什么码？他们住在哪里？
-- Question: Whose code changes if Wuxing district is listed as an area of high risk: from what to what, and where do they live?
-- A dry run: nothing is listed by it.
SELECT
    w.district,
    region_name(w.district, 'zh') AS name,
    w.before,
    w.after,
    count(*) AS people,
    round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent_of_all
FROM whatif('list 330502=high') AS w
GROUP BY w.district, w.before, w.after
ORDER BY people DESC, w.district, w.before, w.after;
