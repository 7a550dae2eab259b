//! Limits of what a student is to be.

use super::{Checked, check_layers, check_training, problem, real, require};
use crate::config::{
    self, ChannelChoice, CtcConfig, Recipe, StudentConfig, StudentInit, TrainingConfig,
};
use shared_model::model::ModelConfig;

impl Recipe {
    pub(super) fn check_student(&self, key: &str, student: &StudentConfig) -> Checked {
        let model = &student.model;
        self.check_model(&format!("{key}.model"), model)?;
        self.check_start(key, student)?;
        self.check_steps(key, student)?;
        if let Some(source) = &student.cut_from {
            self.check_part(&format!("{key}.cut_from"), student, source)?;
        }
        if let Some(host) = &student.exit_of {
            self.check_exit(key, student, host)?;
        }
        Ok(())
    }

    /// What a student starts from.
    fn check_start(&self, key: &str, student: &StudentConfig) -> Checked {
        let (model, teacher) = (&student.model, &self.teacher.model);
        let from_teacher = student.init == StudentInit::TeacherBlocks;
        require(
            student.init_from.is_none() || !from_teacher,
            &format!("{key}.init_from"),
            "contradicts init: name one of the two",
        )?;
        require(
            student.init_from.is_none()
                || (student.cut_from.is_none() && student.exit_of.is_none()),
            &format!("{key}.init_from"),
            "contradicts cut_from and exit_of, which take another student's weights: name one of them",
        )?;
        // A teacher that is named by its folder is known when it is read.
        if from_teacher && self.teacher.from.is_none() {
            let fits = config::fits_into(model, teacher);
            fits.map_err(|reason| problem(&format!("{key}.init"), reason))?;
        }
        require(
            student.channels == ChannelChoice::Even || from_teacher,
            &format!("{key}.channels"),
            "chooses among the teacher's channels: set init = \"teacher-blocks\"",
        )?;
        let takes_blocks =
            from_teacher || student.init_from.is_some() || student.cut_from.is_some();
        require(
            student.blocks.is_none() || takes_blocks,
            &format!("{key}.blocks"),
            "chooses among the blocks of another network: set init = \"teacher-blocks\", init_from or cut_from",
        )?;
        real(
            &format!("{key}.prune_share"),
            student.prune_share,
            0.0,
            0.99,
        )?;
        require(
            student.prune_share == 0.0 || takes_blocks,
            &format!("{key}.prune_share"),
            "would take away random weights: let the student start from a trained network",
        )
    }

    /// What a student is trained by.
    fn check_steps(&self, key: &str, student: &StudentConfig) -> Checked {
        let model = &student.model;
        let does_step_one = student.cut_from.is_none() && student.exit_of.is_none();
        let distill = self.distill_of(student);
        if let Some(own) = &student.distill {
            let key = format!("{key}.distill");
            require(
                does_step_one,
                &key,
                "contradicts cut_from and exit_of, which skip step 1",
            )?;
            check_training(&key, own)?;
            check_layers(&key, &own.ctc, model)?;
            self.check_ctc_of_step_one(&key, &own.ctc)?;
        }
        if does_step_one && distill.epochs > 0 {
            let compare = config::frames_compare(model, &self.teacher.model);
            let key = format!("{key}.model.subsampling_padding");
            compare.map_err(|reason| problem(&key, reason))?;
        }
        let finetune = self.finetune_of(student);
        let finetune_key = match &student.finetune {
            Some(own) => {
                let key = format!("{key}.finetune");
                check_training(&key, own)?;
                key
            }
            None => "finetune".to_owned(),
        };
        if student.exit_of.is_none() {
            check_layers(&finetune_key, &finetune.ctc, model)?;
        }
        let starts_trained = student.init == StudentInit::TeacherBlocks
            || student.init_from.is_some()
            || !does_step_one;
        require(
            starts_trained || distill.epochs > 0 || finetune.epochs > 0,
            &format!("{finetune_key}.epochs"),
            &format!(
                "is 0 and distill.epochs as well: \"{}\" would stay as random as it begins",
                student.name
            ),
        )
    }

    /// The student that `key` names as the one that `part` is cut out of.
    fn check_part(&self, key: &str, part: &StudentConfig, whole: &str) -> Checked {
        let Some(whole) = self.students.iter().find(|s| s.name == whole) else {
            return Err(problem(
                key,
                format!("names \"{whole}\", which is no student of this recipe"),
            ));
        };
        let alike = ModelConfig {
            n_layers: part.model.n_layers,
            dropout: part.model.dropout,
            phone_head: part.model.phone_head,
            ..whole.model.clone()
        };
        require(
            alike == part.model,
            key,
            &format!(
                "needs the same width and shape as \"{}\": only n_layers, dropout and phone_head may differ",
                whole.name
            ),
        )?;
        require(
            part.model.n_layers < whole.model.n_layers,
            key,
            &format!(
                "needs fewer layers than \"{}\", which has {}",
                whole.name, whole.model.n_layers
            ),
        )
    }

    /// A student that is the first blocks of another.
    fn check_exit(&self, key: &str, exit: &StudentConfig, host: &str) -> Checked {
        let exit_key = format!("{key}.exit_of");
        self.check_part(&exit_key, exit, host)?;
        let own = [
            ("init", exit.init != StudentInit::Random),
            ("blocks", exit.blocks.is_some()),
            ("cut_from", exit.cut_from.is_some()),
            ("prune_share", exit.prune_share != 0.0),
            ("finetune", exit.finetune.is_some()),
        ];
        for (name, is_set) in own {
            require(
                !is_set,
                &format!("{key}.{name}"),
                "contradicts exit_of: an exit is trained as a part of the deeper student",
            )?;
        }
        let hosts = self.students.iter().filter(|s| s.name == host);
        for host in hosts {
            require(
                host.exit_of.is_none(),
                &exit_key,
                &format!(
                    "names \"{}\", which is an exit itself: name its own",
                    host.name
                ),
            )?;
            let (one, two) = (self.distill_of(host), self.finetune_of(host));
            let trained = |training: &TrainingConfig| {
                training.epochs > 0 && training.ctc.intermediate_weight > 0.0
            };
            let in_step_one =
                host.cut_from.is_none() && trained(&one) && self.distill.loss.resolved().ctc > 0.0;
            require(
                in_step_one || trained(two),
                &exit_key,
                &format!(
                    "needs ctc.intermediate_weight above 0 where \"{}\" is trained: nothing would teach its exits",
                    host.name
                ),
            )?;
        }
        Ok(())
    }

    pub(super) fn check_ctc_of_step_one(&self, key: &str, ctc: &CtcConfig) -> Checked {
        require(
            ctc.consistency_weight == 0.0 || self.distill.loss.resolved().ctc > 0.0,
            &format!("{key}.ctc.consistency_weight"),
            "is a share of the CTC loss, which distill.loss.ctc leaves out: set distill.loss.ctc above 0",
        )
    }

    /// Every chain of `cut_from` must end at a student that does step 1 itself; layers shrink
    /// along a chain, so there is no cycle once each link is checked.
    pub(super) fn check_cut_cycles(&self) -> Checked {
        require(
            self.students.is_empty() || self.step_one_students().next().is_some(),
            "student",
            "needs at least one student without cut_from and exit_of",
        )
    }
}
