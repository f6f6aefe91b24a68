//! What leaves to analysts = what leaves to all, but for groups of too few people and for tokens: on random worlds.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use sanma::query::{Kin, Limits, PseudonymKey, Pseudonyms, QueryError};

use crate::follow::grown;
use crate::loading::rule_pair;
use crate::sql::{Asker, limits, literal, snapshot, snapshot_of};
use crate::worlds::World;
use crate::worlds::cells::Cell;
use crate::worlds::draw::Draw;

const SECRET: &[u8] = b"of a test";

/// Tables of people, their person, and what rows may be grouped by.
const TABLES: [(&str, &str, &[&str]); 7] = [
    ("declarations", "person", &["residence", "doc_type", "came_from"]),
    ("checkins", "person", &["temperature_c"]),
    ("stays", "person", &["region", "place"]),
    ("tests", "person", &["result"]),
    ("quarantines", "person", &["kind"]),
    ("codes", "person", &["colour"]),
    ("standing_declarations", "person", &["residence"]),
];

/// A world to all, to whoever sees pseudonyms, and to who sees groups of so many besides.
fn sights(seed: u64, least: usize) -> (World, Asker, Asker, Asker) {
    let world = World::random(seed);
    let draw = &mut Draw::new(seed, 91);
    let [rules, _] = rule_pair(seed, draw);
    let all = Arc::new(snapshot(&world, &rules, draw.pick(&world.sample_instants(seed, 3))));
    let shown = Arc::new(all.pseudonymous(&PseudonymKey::new(SECRET), &Pseudonyms::default()));
    let groups = Limits { least_group: NonZeroUsize::new(least), ..limits() };
    (world, Asker::of(&all, limits()), Asker::of(&shown, limits()), Asker::of(&shown, groups))
}

#[test]
fn pseudonyms_are_the_same_at_any_position_of_a_run_whoever_asks_first() {
    let mut fewer = 0;
    for seed in 0..20 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 93);
        let [rules, _] = rule_pair(seed, draw);
        let at = draw.pick(&world.sample_instants(seed, 3));
        let (kin, known, key) = (Kin::default(), Pseudonyms::default(), PseudonymKey::new(SECRET));
        let mut older = None;
        let mut live = grown(&world, draw, |live| older = Some(snapshot_of(&kin, live, &rules, at)));
        let newer = snapshot_of(&kin, &mut live, &rules, at);
        let people = std::iter::once(newer).chain(older).map(|snapshot| {
            let shown = Arc::new(snapshot.pseudonymous(&key, &known));
            let people = "SELECT person FROM declarations UNION SELECT person FROM checkins";
            let mut expected = Asker::of(&Arc::new(snapshot), limits()).rows(people);
            expected.iter_mut().flatten().for_each(|person| *person = key.of(person));
            expected.sort();
            assert_eq!(Asker::of(&shown, limits()).sorted(people), expected, "seed {seed}");
            expected.len()
        });
        let people: Vec<usize> = people.collect();
        fewer += usize::from(people.len() == 2 && people[1] < people[0]);
    }
    assert!(fewer > 3, "{fewer}");
}

#[test]
fn groups_of_few_people_do_not_leave_and_all_others_do() {
    let (mut shown, mut kept_back) = (0, 0);
    for seed in 0..20 {
        let draw = &mut Draw::new(seed, 92);
        let least = 2 + draw.below(3);
        let (_, _, any, few) = sights(seed, least);
        for (table, person, columns) in TABLES {
            let by = columns[draw.below(columns.len())];
            let people = format!("count(DISTINCT {person})");
            let expected =
                any.sorted(&format!("SELECT {by}, count(*) FROM {table} GROUP BY {by} HAVING {people} >= {least}"));
            let asked = format!("SELECT {by}, count(*) FROM {table} GROUP BY {by}");
            assert_eq!(few.sorted(&asked), expected, "seed {seed}: {asked}");
            shown += expected.len();
            kept_back += any.rows(&asked).len() - expected.len();
            // Groups of groups: whoever is in several is one person.
            let inner = format!("SELECT {person} AS p, {by} AS b, count(*) AS n FROM {table} GROUP BY {person}, {by}");
            let expected = any
                .sorted(&format!("SELECT n, count(*) FROM ({inner}) GROUP BY n HAVING count(DISTINCT p) >= {least}"));
            assert_eq!(few.sorted(&format!("SELECT n, count(*) FROM ({inner}) GROUP BY n")), expected, "seed {seed}");
            // Each value once; the least first.
            let expected = any.sorted(&format!("SELECT {by} FROM {table} GROUP BY {by} HAVING {people} >= {least}"));
            assert_eq!(few.sorted(&format!("SELECT DISTINCT {by} FROM {table}")), expected, "seed {seed}");
            let having = format!("GROUP BY {by} HAVING {people} >= {least} ORDER BY 2, 1 LIMIT 2");
            let expected = any.rows(&format!("SELECT {by}, count(*) FROM {table} {having}"));
            let asked = format!("SELECT {by}, count(*) FROM {table} GROUP BY {by} ORDER BY 2, 1 LIMIT 2");
            assert_eq!(few.rows(&asked), expected, "seed {seed}: {asked}");
            // Both sides of a join.
            let from = format!("{table} AS t JOIN codes AS c ON c.person = t.{person}");
            let expected = any.sorted(&format!(
                "SELECT c.colour, t.{by}, count(*) FROM {from} GROUP BY 1, 2 HAVING count(DISTINCT c.person) >= {least}"
            ));
            let asked = format!("SELECT c.colour, t.{by}, count(*) FROM {from} GROUP BY 1, 2");
            assert_eq!(few.sorted(&asked), expected, "seed {seed}: {asked}");
            // Whom an outer join finds: enough, or nobody.
            let of_join = format!(
                "SELECT t.{by}, count(*), count(c.person) FROM {table} AS t \
                 LEFT JOIN cases AS c ON c.person = t.{person} GROUP BY t.{by}"
            );
            let found = "count(DISTINCT c.person)";
            let expected = any.sorted(&format!(
                "{of_join} HAVING count(DISTINCT t.{person}) >= {least} AND ({found} = 0 OR {found} >= {least})"
            ));
            assert_eq!(few.sorted(&of_join), expected, "seed {seed}: {of_join}");
        }
        let ends =
            "count(DISTINCT person_a) >= {k} AND count(DISTINCT person_b) >= {k}".replace("{k}", &least.to_string());
        let by = "SELECT setting, count(*), sum(duration_s) FROM contacts GROUP BY setting";
        assert_eq!(few.sorted(by), any.sorted(&format!("{by} HAVING {ends}")), "seed {seed}");
        let both = "SELECT colour AS k, count(*) FROM codes GROUP BY 1 UNION ALL SELECT setting, count(*) FROM contacts GROUP BY 1";
        let (one, other) = both.split_once(" UNION ALL ").expect("two");
        let both_of_many = format!("{one} HAVING count(DISTINCT person) >= {least} UNION ALL {other} HAVING {ends}");
        assert_eq!(few.sorted(both), any.sorted(&both_of_many), "seed {seed}");
        let reasons = "SELECT r, count(*) FROM (SELECT person, unnest(reasons) AS r FROM codes) GROUP BY r";
        let expected = any.sorted(&format!("{reasons} HAVING count(DISTINCT person) >= {least}"));
        assert_eq!(few.sorted(reasons), expected, "seed {seed}");
    }
    assert!(shown > 60 && kept_back > 200, "{shown} shown, {kept_back} kept back");
}

#[test]
fn rows_of_single_people_and_what_cannot_be_told_are_refused() {
    let (_, _, _, few) = sights(1, 2);
    for alone in [
        "SELECT * FROM codes",
        "SELECT colour FROM codes ORDER BY 1 LIMIT 3",
        "SELECT a.colour FROM codes a JOIN codes b USING (person)",
        "SELECT c.n FROM declarations JOIN (SELECT colour, count(*) AS n FROM codes GROUP BY 1) AS c ON true",
        "SELECT person FROM whatif('list 330106=high')",
    ] {
        assert!(matches!(few.batches(alone), Err(QueryError::Alone { least: 2 })), "{alone}");
    }
    for untold in [
        "SELECT (SELECT max(colour) FROM codes)",
        "SELECT count(*) FROM regions WHERE code IN (SELECT residence FROM declarations)",
        "SELECT count(*) FROM regions WHERE EXISTS (SELECT 1 FROM codes WHERE colour = 'red')",
        "SELECT count(*) FROM regions GROUP BY (SELECT min(person) FROM codes)",
        "SELECT count(*) FROM codes LEFT SEMI JOIN cases USING (person)",
        "SELECT DISTINCT ON (colour) colour FROM codes",
        "EXPLAIN SELECT * FROM codes WHERE person = 'x'",
        "EXPLAIN ANALYZE SELECT count(*) FROM codes",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
        "SELECT * FROM rejections",
        "SELECT count(*) OVER () FROM codes",
        "SELECT p, count(*) FROM (SELECT first_value(person) OVER (ORDER BY id) AS p FROM checkins) GROUP BY p",
        "SELECT array_agg(person) FROM codes",
        "SELECT string_agg(person, ',') FROM codes",
        "SELECT first_value(colour ORDER BY person) FROM codes",
        "SELECT unnest(array_agg(colour)) FROM codes",
        "SELECT unnest(make_array(colour, colour)) FROM codes GROUP BY colour",
        "SELECT rule FROM explain('x')",
        "SELECT count(*) FROM contacts_of('x', 1)",
        "SELECT colour, count(*) FROM codes GROUP BY 1 UNION ALL SELECT name_en, 1 FROM regions",
        "SELECT colour AS __people_1, count(*) FROM codes GROUP BY 1",
    ] {
        assert!(matches!(few.batches(untold), Err(QueryError::Untold { .. } | QueryError::Question(_))), "{untold}");
    }
    // Nobody is in these.
    for told in [
        "SELECT count(*) FROM regions",
        "SELECT * FROM rules",
        "SELECT 1",
        "SHOW TABLES",
        "DESCRIBE codes",
        "VALUES (1)",
    ] {
        assert!(!few.rows(told).is_empty(), "{told}");
    }
    assert!(few.rows("SELECT count(*) FROM codes WHERE person = 'nobody'").is_empty(), "a group of nobody");
}

#[test]
fn a_pseudonym_is_one_persons_everywhere_and_nobodys_token() {
    let key = PseudonymKey::new(SECRET);
    for seed in 0..20 {
        let (world, all, any, _) = sights(seed, 2);
        let tokens: BTreeSet<&String> = world.persons.iter().collect();
        for table in TABLES.map(|(table, ..)| table).into_iter().chain(["cases", "whitelist", "findings", "contacts"]) {
            let person = if table == "contacts" { "person_b" } else { "person" };
            let rows = |asker: &Asker| asker.sorted(&format!("SELECT {person} FROM {table}"));
            let mut expected: Vec<Vec<String>> =
                rows(&all).into_iter().map(|row| row.iter().map(|token| key.of(token)).collect()).collect();
            expected.sort();
            let seen = rows(&any);
            assert_eq!(seen, expected, "seed {seed}: {table}");
            assert!(seen.iter().flatten().all(|shown| !tokens.contains(shown)), "seed {seed}: {table}");
        }
        for token in &world.persons {
            let of = |asker: &Asker, token: &str| {
                let token = literal(&Cell::Text(token.to_owned()));
                asker.rows(&format!("SELECT colour FROM codes WHERE person = {token}"))
            };
            assert_eq!(of(&any, &key.of(token)), of(&all, token), "seed {seed}");
            assert!(of(&any, token).is_empty(), "seed {seed}: a token finds nobody");
        }
    }
}
