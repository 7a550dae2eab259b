//! Networks that begin with the weights of a model folder.

use super::*;

/// A network as a model folder holds it.

#[test]
fn networks_begin_with_the_weights_of_the_model_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let (family, _) = with_context(folder.path(), &recipe(&[]), None, |c| run(c).unwrap());
    // Nothing is learned at this rate: what comes out is what it began with.
    let still = [
        "teach.optim.learning_rate=1e-30",
        "teach.epochs=1",
        "teacher.model.n_layers=3",
        "distill.optim.learning_rate=1e-30",
        "distill.epochs=1",
    ];
    let folder = tempfile::tempdir().unwrap();
    let (students, _) = with_context(folder.path(), &recipe(&still), None, |context| {
        let (old, narrow) = (family.teacher.as_ref().unwrap(), &family.students[1]);
        for network in [old, narrow] {
            let name = network.name.clone();
            context.starts.insert(name, as_model(network));
        }
        let teacher = teach(context).unwrap();
        let trained = initial::Trained {
            weights: &old.weights,
            config: &old.config,
            blocks: BlockChoice::Even,
            channels: ChannelChoice::Even,
            inputs: None,
        };
        let grown = initial::from_blocks(&teacher.config, teacher.weights.clone(), trained);
        assert_eq!(bits(&teacher.weights), bits(&grown.unwrap().weights));
        assert_eq!(teacher.weights["corpus_mean"], old.weights["corpus_mean"]);
        distill(context, Some(&teacher)).unwrap()
    });
    let narrow = students.iter().find(|s| s.name == "narrow").unwrap();
    for (name, weight) in &family.students[1].weights {
        assert_eq!(narrow.weights[name], *weight, "{name}");
    }
}

#[test]
fn a_start_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (family, _) = with_context(folder.path(), &recipe(&[]), None, |c| run(c).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let wider = recipe(&["teacher.model.d_ffn=40"]);
    let (result, _) = with_context(folder.path(), &wider, None, |context| {
        let start = as_model(family.teacher.as_ref().unwrap());
        context.starts.insert(TEACHER.into(), start);
        teach(context)
    });
    let text = result.unwrap_err().to_string();
    assert!(
        text.contains("init_from of \"teacher\"") && text.contains("another shape"),
        "{text}"
    );
}
