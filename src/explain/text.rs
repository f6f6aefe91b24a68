//! A page as plain text for a terminal, in Chinese or English.
//!
//! The one idea: what to know first comes first (the colour, how long), then each reason with what to do, then the way to green.
//!
//! Invariant: nothing is printed that the page does not hold, so a text for the person is as discreet as the page.

use super::evidence::Evidence;
use super::forecast::{Awaited, Missing};
use super::report::{Audience, Explanation, LocalInstant, RuleReport, Words};
use crate::model::Colour;

/// Most lines of one kind under one rule; the rest is counted.
const LINES_MAX: usize = 6;

/// The language of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    fn of(self, words: &Words) -> &str {
        self.pick(&words.zh, &words.en)
    }

    /// A label and what follows it.
    fn line(self, zh: &str, en: &str, rest: &str) -> String {
        match self {
            Self::Zh => format!("{zh}：{rest}"),
            Self::En => format!("{en}: {rest}"),
        }
    }
}

impl Explanation {
    /// The page as text, lines ended by newlines, instants on the rule set's local clock.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let mut lines = self.head(language);
        for (number, rule) in self.rules.iter().enumerate() {
            lines.push(String::new());
            lines.extend(rule.lines(number + 1, language));
        }
        lines.push(String::new());
        lines.extend(self.tail(language));
        lines.push(String::new());
        lines.join("\n")
    }

    fn head(&self, language: Language) -> Vec<String> {
        let as_of = clock(self.as_of);
        let (zh, en) = colour(self.colour);
        let headline = match (language, self.audience) {
            (Language::Zh, Audience::Person) => format!("您的健康码：{zh}（{as_of}）"),
            (Language::En, Audience::Person) => format!("Your health code is {en} ({as_of})"),
            (Language::Zh, Audience::Official) => format!("{} 的健康码：{zh}（{as_of}）", self.person),
            (Language::En, Audience::Official) => format!("The health code of {} is {en} ({as_of})", self.person),
        };
        let mut lines = vec![headline];
        lines.push(match (self.valid_until.map(clock), language) {
            (Some(until), Language::Zh) => format!("如无新情况，保持到 {until}"),
            (Some(until), Language::En) => format!("Unless something new is recorded it stays as it is until {until}"),
            (None, _) => {
                language.pick("如无新情况，不会变化", "Unless something new is recorded it stays as it is").into()
            }
        });
        for excuse in &self.whitelist {
            lines.push(language.line("白名单", "On the white list", &excuse.reason));
        }
        let version: String = self.rule_set.version.chars().take(12).collect();
        let rule_set = format!("{} ({version})", self.rule_set.name);
        lines.push(language.line("规则", "Rules", &rule_set));
        lines
    }

    fn tail(&self, language: Language) -> Vec<String> {
        if self.colour == Colour::Green {
            return vec![language.pick("绿码，可以通行。", "Green: free to pass.").into()];
        }
        let mut lines = vec![match self.green.earliest.map(clock) {
            Some(earliest) => {
                let zh = "最早转绿（从今天起每天健康打卡、所需检测均为阴性）";
                language.line(
                    zh,
                    "Green at the earliest (healthy every day from today, tests as wanted negative)",
                    &earliest,
                )
            }
            None => language
                .pick(
                    "单靠每天打卡和检测还不能转绿，须先有上述记录。",
                    "Reports and tests alone cannot turn it green: what is awaited above has to be recorded first.",
                )
                .into(),
        }];
        let otherwise = match self.green.if_nothing_happens.map(clock) {
            Some(at) => language.line("若没有任何新记录", "If nothing more is recorded", &at),
            None => {
                language.line("若没有任何新记录", "If nothing more is recorded", language.pick("不会转绿", "never"))
            }
        };
        lines.push(otherwise);
        if self.audience == Audience::Person {
            let zh = "如认为有误，可申请复核：更正事实，颜色随之改变。";
            let en = "If something here is wrong, ask for a review: facts are corrected, and the colour follows them.";
            lines.push(language.pick(zh, en).into());
        }
        lines
    }
}

impl RuleReport {
    fn lines(&self, number: usize, language: Language) -> Vec<String> {
        let (zh, en) = colour(self.colour);
        let excused =
            if self.excused { language.pick("，白名单豁免", ", excused by the white list") } else { "" };
        let title = language.of(&self.title);
        let mut lines = vec![match language {
            Language::Zh => format!("{number}. {title}（{zh}{excused}；依据 {}）", self.cite),
            Language::En => format!("{number}. {title} ({en}{excused}; clause {})", self.cite),
        }];
        let because: Vec<String> = self.because.iter().map(|words| language.of(words).to_owned()).collect();
        lines.extend(shortened(&because, language, |one| language.line("   原因", "   Because", one)));
        if let Some(trigger) = self.trigger {
            lines.push(language.line("   起算", "   Counts from", &clock(trigger)));
        }
        lines.push(language.line("   请", "   What to do", language.of(&self.advice)));
        let missing = missing(self.missing, language);
        if !missing.is_empty() {
            lines.push(language.line("   还差", "   Still wanted", &missing.join(language.pick("、", ", "))));
        }
        let release = self.attainable_release.or(self.earliest_release);
        if let Some(release) = release {
            lines.push(language.line("   最早解除", "   Ends at the earliest", &clock(release)));
        }
        let rows: Vec<String> = self.evidence.iter().map(Evidence::line).collect();
        lines.extend(shortened(&rows, language, |row| format!("     {row}")));
        lines
    }
}

impl Evidence {
    fn line(&self) -> String {
        let mut parts = vec![format!("{} {}", self.table, self.id)];
        parts.extend(self.person.iter().map(|person| format!("person={person}")));
        let instants = self.instants.iter().filter_map(|(column, at)| at.map(|at| (column, at)));
        parts.extend(instants.map(|(column, at)| format!("{column}={}", at.at.to_rfc3339_at(at.offset))));
        parts.extend(self.details.iter().map(|(name, value)| format!("{name}={value}")));
        parts.join(" ")
    }
}

/// The first lines, and how many more there are.
fn shortened(all: &[String], language: Language, line: impl Fn(&str) -> String) -> Vec<String> {
    let mut lines: Vec<String> = all.iter().take(LINES_MAX).map(|one| line(one)).collect();
    let more = all.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.push(match language {
            Language::Zh => format!("   ……另有 {more} 条"),
            Language::En => format!("   ... and {more} more"),
        });
    }
    lines
}

fn missing(missing: Missing, language: Language) -> Vec<String> {
    let awaited = missing.awaits.map(|awaits| {
        let (zh, en) = match awaits {
            Awaited::Outcome => ("病例转归的记录", "the outcome of the case"),
            Awaited::QuarantineEnd => ("隔离结束的记录", "the end of the quarantine"),
            Awaited::Lifting => ("谎报认定的撤销", "the lifting of the finding"),
            Awaited::Departure => ("离开该地区的记录", "departure from the area"),
            Awaited::Delisting => ("居住地风险等级下调", "a lower level for the place of residence"),
        };
        language.pick(zh, en).to_owned()
    });
    let counted = [
        (missing.days_left, "天", "day", "days"),
        (missing.clean_days, "个连续健康打卡日", "healthy day of check-in running", "healthy days of check-in running"),
        (missing.negative_tests, "次阴性检测（不同日）", "negative test", "negative tests on different days"),
        (missing.reports, "次健康打卡", "health report", "health reports"),
    ];
    let counted = counted.into_iter().filter(|&(count, ..)| count > 0).map(|(count, zh, one, many)| match language {
        Language::Zh => format!("{count} {zh}"),
        Language::En => format!("{count} {}", if count == 1 { one } else { many }),
    });
    awaited.into_iter().chain(counted).collect()
}

const fn colour(colour: Colour) -> (&'static str, &'static str) {
    match colour {
        Colour::Green => ("绿码", "GREEN"),
        Colour::Yellow => ("黄码", "YELLOW"),
        Colour::Red => ("红码", "RED"),
    }
}

/// `2020-02-18 09:30` on the local clock, with seconds where there are some.
fn clock(instant: LocalInstant) -> String {
    let text = instant.at.to_rfc3339_at(instant.offset);
    let Some((date, time)) = text.split_once('T') else { return text };
    let exact = time.get(..8).unwrap_or(time);
    format!("{date} {}", exact.strip_suffix(":00").unwrap_or(exact))
}
