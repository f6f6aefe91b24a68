//! What a rule rests on, in words that name nobody but the person concerned.
//!
//! The one idea: everybody may read these lines, so they are made of kinds, days, settings and the person's own rows.
//!
//! Invariant: no token and no row id of another person, no instant of another person's rows. Of a place only the token in the
//! person's own stay.

use super::report::{Names, Words};
use super::sighting::{Proof, Sighting};
use super::subject::Subject;
use crate::model::{Admission, CaseKind, EnumSet, Level, QuarantineKind, Setting, Symptom, Timestamp};

fn words(zh: impl Into<String>, en: impl Into<String>) -> Words {
    Words { zh: zh.into(), en: en.into() }
}

/// One line for one sighting.
pub(super) fn because(subject: &Subject, sighting: &Sighting, at: Timestamp, names: &dyn Names) -> Words {
    let when = days_ago(subject, sighting.trigger, at);
    match &sighting.proof {
        Proof::Patient(case) => {
            let kind = case_kind(case.kind);
            words(format!("{}通报为{}", when.zh, kind.zh), format!("reported as {}, {}", kind.en, when.en))
        }
        Proof::Held(quarantine) => {
            let kind = quarantine_kind(quarantine.kind);
            words(format!("{}开始{}", when.zh, kind.zh), format!("{}, begun {}", kind.en, when.en))
        }
        Proof::Met { contact, case } => {
            let (kind, setting) = (case_kind(case.kind), setting(contact.setting));
            words(
                format!("{}{}接触过一名{}", when.zh, setting.zh, kind.zh),
                format!("contact with {}, {}, {}", kind.en, when.en, setting.en),
            )
        }
        Proof::Shared { own, case, .. } => {
            let kind = case_kind(case.kind);
            let place = own.place.map_or("?", |place| names.place(place));
            words(
                format!("{}与一名{}同在一处：{place}", when.zh, kind.zh),
                format!("in one place with {}, {}: {place}", kind.en, when.en),
            )
        }
        Proof::MetExposed { contact, .. } => {
            let setting = setting(contact.setting);
            words(
                format!("{}{}接触过一名密切接触者", when.zh, setting.zh),
                format!("contact with somebody who had been exposed to a case, {}, {}", when.en, setting.en),
            )
        }
        Proof::Visited { stay, level: risk } => {
            let (area, risk) = (names.region(stay.region), level(*risk));
            if stay.left_at > at {
                words(format!("身在{}（{}）", area.zh, risk.zh), format!("staying in {} ({})", area.en, risk.en))
            } else {
                let zh = format!("{}离开{}（{}）", when.zh, area.zh, risk.zh);
                words(zh, format!("a stay in {} ({}), left {}", area.en, risk.en, when.en))
            }
        }
        _ => of_declared_and_reported(&sighting.proof, &when, names),
    }
}

fn of_declared_and_reported(proof: &Proof, when: &Words, names: &dyn Names) -> Words {
    match proof {
        Proof::CameFrom { declaration, level: risk } => {
            let risk = level(*risk);
            let area = declaration.came_from.map_or_else(|| words("?", "?"), |region| names.region(region));
            words(
                format!("申报来自{}（{}），{}到达", area.zh, risk.zh, when.zh),
                format!("declared to have come from {} ({}), {}", area.en, risk.en, when.en),
            )
        }
        Proof::Resides { declaration, level: risk } => {
            let (area, risk) = (names.region(declaration.residence), level(*risk));
            words(format!("申报居住地为{}（{}）", area.zh, risk.zh), format!("living in {} ({})", area.en, risk.en))
        }
        Proof::Admitted(declaration) => {
            let admitted = admissions(declaration.admissions);
            words(format!("{}申报：{}", when.zh, admitted.zh), format!("declared {}: {}", when.en, admitted.en))
        }
        Proof::Reported(report) => {
            let symptoms = symptoms(report.symptoms);
            words(format!("{}报告：{}", when.zh, symptoms.zh), format!("reported {}: {}", when.en, symptoms.en))
        }
        Proof::Tested(_) => words(format!("{}核酸采样，结果阳性", when.zh), format!("tested positive {}", when.en)),
        Proof::Found(_) => {
            words(format!("{}查实谎报或瞒报", when.zh), format!("a false or concealed declaration found {}", when.en))
        }
        // The others are said by `because`.
        _ => words(when.zh.clone(), when.en.clone()),
    }
}

fn days_ago(subject: &Subject, instant: Timestamp, at: Timestamp) -> Words {
    match subject.day(at).0 - subject.day(instant).0 {
        0 => words("今天", "today"),
        1 => words("昨天", "yesterday"),
        days => words(format!("{days} 天前"), format!("{days} days ago")),
    }
}

fn case_kind(kind: CaseKind) -> Words {
    match kind {
        CaseKind::Suspected => words("疑似患者", "a suspected case"),
        CaseKind::Confirmed => words("确诊患者", "a confirmed case"),
    }
}

fn quarantine_kind(kind: QuarantineKind) -> Words {
    match kind {
        QuarantineKind::Centralised => words("集中隔离", "centralised isolation"),
        QuarantineKind::Home => words("居家观察", "observation at home"),
    }
}

fn setting(setting: Setting) -> Words {
    match setting {
        Setting::Household => words("在家中", "at home"),
        Setting::Work => words("在工作中", "at work"),
        Setting::School => words("在学校", "at school"),
        Setting::Transport => words("在交通途中", "in transport"),
        Setting::Venue => words("在公共场所", "in a venue"),
        Setting::Proximity => words("在近处", "nearby"),
    }
}

fn level(level: Level) -> Words {
    match level {
        Level::Key => words("重点地区", "key area"),
        Level::High => words("高风险", "high risk"),
        Level::Elevated => words("较高风险", "elevated risk"),
        Level::Medium => words("中风险", "medium risk"),
        Level::Lower => words("较低风险", "lower risk"),
        Level::Low => words("低风险", "low risk"),
    }
}

fn symptoms(symptoms: EnumSet<Symptom>) -> Words {
    let each = symptoms.iter().map(|symptom| match symptom {
        Symptom::Fever => words("发热", "fever"),
        Symptom::Dyspnea => words("呼吸困难", "shortness of breath"),
        Symptom::Respiratory => words("呼吸道症状", "respiratory symptoms"),
    });
    listed(each.collect())
}

fn admissions(admissions: EnumSet<Admission>) -> Words {
    let each = admissions.iter().map(|admission| match admission {
        Admission::ContactWithCase => words("接触过病例", "contact with a case"),
        Admission::VisitedKeyArea => words("到过重点地区", "a stay in a key area"),
    });
    listed(each.collect())
}

fn listed(each: Vec<Words>) -> Words {
    let (zh, en): (Vec<String>, Vec<String>) = each.into_iter().map(|one| (one.zh, one.en)).unzip();
    words(zh.join("、"), en.join(", "))
}
