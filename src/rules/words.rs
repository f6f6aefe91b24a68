//! A rule in plain words, in English and Chinese, from its checked parameters.
//!
//! The one idea: what people read is made from what the engine reads, so a page can never say another number than the
//! rules have. The words give the meaning for readers; SPEC 2 gives it to the microsecond.

use super::program::{Bilingual, Cause, ContactRule, Program, Release};
use crate::model::{
    Admission, CaseKind, ClosedEnum, EnumSet, Level, QuarantineKind, RuleId, Setting, Symptom, Timestamp,
};

/// A closed enumeration with words for people.
trait Spoken: ClosedEnum {
    fn en(self) -> &'static str;
    fn zh(self) -> &'static str;
}

macro_rules! spoken {
    ($($of:ident { $($value:ident = $en:literal $zh:literal),+ $(,)? })+) => {$(
        impl Spoken for $of {
            fn en(self) -> &'static str {
                match self { $(Self::$value => $en),+ }
            }
            fn zh(self) -> &'static str {
                match self { $(Self::$value => $zh),+ }
            }
        }
    )+};
}

spoken! {
    CaseKind { Suspected = "suspected" "疑似", Confirmed = "confirmed" "确诊" }
    QuarantineKind { Centralised = "centralised isolation" "集中隔离", Home = "observation at home" "居家医学观察" }
    Setting {
        Household = "household" "家庭", Work = "work" "工作", School = "school" "学校",
        Transport = "transport" "交通", Venue = "venue" "场所", Proximity = "proximity" "近距离",
    }
    Level { Low = "low" "低", Lower = "lower" "较低", Medium = "medium" "中", Elevated = "elevated" "较高", High = "high" "高", Key = "key" "重点" }
    Symptom { Fever = "fever" "发热", Dyspnea = "shortness of breath" "气促", Respiratory = "respiratory symptoms" "呼吸道症状" }
    Admission { ContactWithCase = "contact with a case" "接触过病例", VisitedKeyArea = "a visit to a key area" "到过重点地区" }
}

/// When the rule is active.
#[must_use]
pub fn condition(program: &Program, cause: &Cause) -> Bilingual {
    match cause {
        Cause::Case { kinds, convalescence_days } => case(*kinds, *convalescence_days),
        Cause::Quarantine { kinds, ignore_home_started_before } => {
            quarantine(program, *kinds, *ignore_home_started_before)
        }
        Cause::Contact(rule) => contact(rule),
        Cause::SecondContact { through, min_minutes, settings, .. } => {
            second_contact(program, *through, *min_minutes, *settings)
        }
        Cause::Area { levels, min_minutes, declared, residence, .. } => {
            area(*levels, *min_minutes, *declared, *residence)
        }
        Cause::Declared { any, .. } => {
            Bilingual { en: format!("declared {}", either(*any)), zh: format!("申报{}", zh_either(*any)) }
        }
        Cause::Symptoms { any, .. } => symptoms(program, *any),
        Cause::Test { .. } => both("tested positive", "核酸检测阳性"),
        Cause::Untested { days } => Bilingual {
            en: format!("has no negative test of the last {}", counted(*days, "day")),
            zh: format!("近 {days} 天内无核酸检测阴性结果"),
        },
        Cause::Unreported { days } => Bilingual {
            en: format!("has no health report on any of the last {}, today included", counted(*days, "day")),
            zh: format!("含当天在内近 {days} 天无健康申报"),
        },
        Cause::Finding => both("gave a false declaration, as found and not lifted", "经核查申报不实，且未解除"),
    }
}

/// When the rule ends.
#[must_use]
pub fn release(cause: &Cause) -> Bilingual {
    let (after_en, after_zh, release) = match cause {
        Cause::Case { convalescence_days: 0, .. } => return both("when the case has an outcome", "病例转归之时"),
        Cause::Case { convalescence_days, .. } => {
            return Bilingual {
                en: format!(
                    "{} after recovery; at once if the case is ruled out or the patient has died",
                    counted(*convalescence_days, "day")
                ),
                zh: format!("治愈后 {convalescence_days} 天；排除或死亡的，即时"),
            };
        }
        Cause::Quarantine { .. } => return both("when it ends", "解除之时"),
        Cause::Untested { .. } => return both("with the result of a negative test", "核酸检测阴性结果出具之时"),
        Cause::Unreported { .. } => return both("with the next health report", "下一次健康申报之时"),
        Cause::Finding => return both("when the finding is lifted", "解除之时"),
        Cause::Contact(ContactRule { release, .. }) | Cause::SecondContact { release, .. } => {
            ("the end of the last exposure", "最后一次接触结束", release)
        }
        Cause::Area { release, .. } => ("leaving the area", "离开该地区", release),
        Cause::Declared { release, .. } => ("the declaration", "申报", release),
        Cause::Symptoms { release, .. } => ("the last report of a symptom", "最近一次申报症状", release),
        Cause::Test { release } => ("the sample was taken", "采样", release),
    };
    triggered(after_en, after_zh, *release)
}

fn triggered(after_en: &str, after_zh: &str, release: Release) -> Bilingual {
    let Release { days, clean_days, negative_tests } = release;
    let en = format!("{} after {after_en}", counted(days, "day"));
    let zh = format!("{after_zh}后 {days} 天");
    let mut text = Bilingual { zh, en };
    if clean_days > 0 {
        add(
            &mut text,
            &format!(", and {} running of healthy reports", counted(clean_days, "day")),
            &format!("，且连续 {clean_days} 天健康打卡正常"),
        );
    }
    if negative_tests > 0 {
        add(
            &mut text,
            &format!(", and negative tests on {}", counted(negative_tests, "day")),
            &format!("，且有 {negative_tests} 天核酸检测阴性"),
        );
    }
    text
}

fn case(kinds: EnumSet<CaseKind>, convalescence_days: u32) -> Bilingual {
    let (en, zh) = (either(kinds), zh_either(kinds));
    if convalescence_days == 0 {
        return Bilingual { en: format!("is a {en} case"), zh: format!("{zh}患者") };
    }
    Bilingual {
        en: format!("is a {en} case, or recovered less than {} ago", counted(convalescence_days, "day")),
        zh: format!("{zh}患者，或治愈未满 {convalescence_days} 天"),
    }
}

fn quarantine(program: &Program, kinds: EnumSet<QuarantineKind>, before: Option<Timestamp>) -> Bilingual {
    let en = format!("is under {}", either(kinds));
    let zh = format!("正在{}", zh_either(kinds));
    let mut text = Bilingual { zh, en };
    if let Some(before) = before {
        let before = before.to_rfc3339_at(program.utc_offset);
        add(
            &mut text,
            &format!("; observation at home that began before {before} does not count"),
            &format!("（{before} 之前开始的居家医学观察不计）"),
        );
    }
    text
}

fn contact(rule: &ContactRule) -> Bilingual {
    let (how_en, how_zh) = match (rule.via_contact, rule.via_place) {
        (true, true) => ("was in contact, or in one place,", "接触过或同处一地"),
        (true, false) => ("was in contact", "接触过"),
        (false, _) => ("was in one place", "同处一地"),
    };
    let en = format!(
        "{how_en} with a {} case{}, while that case was infectious: from {} on, until isolated",
        either(rule.of),
        at_least(rule.min_minutes),
        match rule.infectious_days_before_onset {
            0 => "onset".to_owned(),
            days => format!("{} before onset", counted(days, "day")),
        }
    );
    let zh = format!(
        "在病例传染期内（自{}起，至隔离止）与{}病例{how_zh}{}",
        match rule.infectious_days_before_onset {
            0 => "发病".to_owned(),
            days => format!("发病前 {days} 天"),
        },
        zh_either(rule.of),
        zh_at_least(rule.min_minutes)
    );
    let mut text = Bilingual { zh, en };
    add_settings(&mut text, rule.settings);
    if let Some(rows) = rule.rows {
        add(
            &mut text,
            &format!("; in a vehicle at most {} apart, where both rows are known", counted(u32::from(rows), "row")),
            &format!("；交通工具内座位相距不超过 {rows} 排（双方排号已知时）"),
        );
    }
    text
}

fn second_contact(
    program: &Program,
    through: RuleId,
    min_minutes: u32,
    settings: Option<EnumSet<Setting>>,
) -> Bilingual {
    let first = program.rule(through);
    let en = format!(
        "was in contact with somebody exposed under `{}`{}, from that exposure on, until they were in quarantine",
        first.id,
        at_least(min_minutes)
    );
    let zh = format!("接触过「{}」所涉人员{}（自其暴露起，至其隔离止）", first.title.zh, zh_at_least(min_minutes));
    let mut text = Bilingual { zh, en };
    add_settings(&mut text, settings);
    text
}

fn area(levels: EnumSet<Level>, min_minutes: u32, declared: bool, residence: bool) -> Bilingual {
    let en = format!("was in an area now at level {}{}", either(levels), at_least(min_minutes));
    let zh = format!("到过风险等级现为{}的地区{}", zh_either(levels), zh_at_least(min_minutes));
    let mut text = Bilingual { zh, en };
    if declared {
        add(&mut text, ", or declared to have come from one", "，或申报来自该类地区");
    }
    if residence {
        add(&mut text, ", or has the declared residence in one", "，或申报的居住地属于该类地区");
    }
    text
}

fn symptoms(program: &Program, any: EnumSet<Symptom>) -> Bilingual {
    let mut reported = Bilingual { en: format!("reported {}", either(any)), zh: format!("申报{}", zh_either(any)) };
    if any.contains(Symptom::Fever) {
        let celsius = program.fever_celsius;
        add(
            &mut reported,
            &format!(" (a temperature of {celsius} °C or more is fever)"),
            &format!("（体温达到 {celsius} °C 即为发热）"),
        );
    }
    reported
}

fn add_settings(text: &mut Bilingual, settings: Option<EnumSet<Setting>>) {
    if let Some(settings) = settings {
        add(text, &format!("; contacts count in: {}", either(settings)), &format!("；接触限于{}", zh_either(settings)));
    }
}

fn add(text: &mut Bilingual, en: &str, zh: &str) {
    text.en.push_str(en);
    text.zh.push_str(zh);
}

fn both(en: &str, zh: &str) -> Bilingual {
    Bilingual { zh: zh.to_owned(), en: en.to_owned() }
}

/// `1 day`, `14 days`
fn counted(number: u32, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// Nothing for 0 minutes: then any overlap counts.
fn at_least(minutes: u32) -> String {
    if minutes == 0 { String::new() } else { format!(" for at least {}", counted(minutes, "minute")) }
}

fn zh_at_least(minutes: u32) -> String {
    if minutes == 0 { String::new() } else { format!("至少 {minutes} 分钟") }
}

/// `a`, `a or b`, `a, b or c`
fn either<E: Spoken>(set: EnumSet<E>) -> String {
    let words = set.iter().map(Spoken::en).collect::<Vec<_>>();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// `甲`, `甲或乙`, `甲、乙或丙`
fn zh_either<E: Spoken>(set: EnumSet<E>) -> String {
    let words = set.iter().map(Spoken::zh).collect::<Vec<_>>();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{}或{last}", rest.join("、")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<E: ClosedEnum>() -> EnumSet<E> {
        E::ALL.iter().copied().collect()
    }

    #[test]
    fn lists_are_sentences() {
        assert_eq!(either(all::<CaseKind>()), "suspected or confirmed");
        assert_eq!(zh_either(all::<Symptom>()), "发热、气促或呼吸道症状");
        assert_eq!(either([Level::Key].into_iter().collect::<EnumSet<_>>()), "key");
    }

    #[test]
    fn parameters_are_told() {
        let rule = ContactRule {
            of: all(),
            via_contact: true,
            via_place: false,
            infectious_days_before_onset: 2,
            min_minutes: 1,
            settings: Some([Setting::Work, Setting::School].into_iter().collect()),
            rows: None,
            release: Release { days: 14, clean_days: 14, negative_tests: 2 },
        };
        assert_eq!(
            contact(&rule).en,
            "was in contact with a suspected or confirmed case for at least 1 minute, while that case was infectious: \
             from 2 days before onset on, until isolated; contacts count in: work or school"
        );
        assert_eq!(
            release(&Cause::Contact(rule)).en,
            "14 days after the end of the last exposure, and 14 days running of healthy reports, and negative tests on 2 days"
        );
    }
}
