use serde::Serialize;
use std::fmt;

/// What is answered where something calls a line an attack and names no technique that is answered with. No row has this label, and averages
/// over the labels leave it out; answers with it are wrong, but found.
pub const NO_TECHNIQUE: &str = "no technique";

/// What a label's predictions are worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// The label.
    pub label: String,
    /// Of the rows predicted to have the label, the share that has it. 0 where none was.
    pub precision: f64,
    /// Of the rows that have the label, the share predicted so. 0 where there is none.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// How many rows have the label.
    pub support: u64,
}

/// Averages over the labels that occur: those that some row has or was predicted to have, as scikit-learn takes them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Averages {
    /// Of the labels' precisions.
    pub precision: f64,
    /// Of the labels' recalls.
    pub recall: f64,
    /// Of the labels' F1 values.
    pub f1: f64,
}

/// The figures of a set of predictions. Displayed, it is laid out like scikit-learn's `classification_report` (four digits),
/// with the confusion matrix below.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The confusion matrix: `matrix[truth][predicted]`.
    pub matrix: Vec<Vec<u64>>,
    /// Figures by label, in the labels' order.
    pub classes: Vec<ClassFigures>,
    /// The share of rows predicted right; 0 where there are none.
    pub accuracy: f64,
    /// Each label that some row has or was predicted to have counts the same.
    pub macro_average: Averages,
    /// Each label counts by its support.
    pub weighted_average: Averages,
    /// How many rows there were.
    pub total: u64,
}

/// A matrix of more labels can't be read.
const MOST_IN_MATRIX: usize = 25;

/// Confusions that are shown in its place.
const MOST_CONFUSIONS: usize = 20;

impl Report {
    /// Wrong answers by how often they come: true label, predicted label, rows.
    pub fn confusions(&self) -> Vec<(usize, usize, u64)> {
        let cells = self.matrix.iter().enumerate().flat_map(|(truth, row)| row.iter().enumerate().map(move |(found, &count)| (truth, found, count)));
        let mut wrong: Vec<_> = cells.filter(|&(truth, found, count)| truth != found && count > 0).collect();
        wrong.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        wrong
    }

    /// The labels that some row has or was predicted to have, in their order.
    pub fn occurring(&self) -> impl Iterator<Item = &ClassFigures> {
        self.classes.iter().enumerate().filter(|&(label, _)| occurs(&self.matrix, label)).map(|(_, class)| class)
    }

    /// How many labels there are and how many of them don't occur, in words; nothing where all do.
    pub fn absent_labels(&self) -> Option<String> {
        let (all, occurring) = (self.classes.len(), self.occurring().count());
        (occurring < all)
            .then(|| format!("{all} labels, {} of them neither in the data nor among the answers; averages leave those out", all - occurring))
    }

    /// Counts `predicted` against `truth`; both hold indices of `labels`.
    ///
    /// # Panics
    /// Where the two have different lengths or an index lies outside the labels.
    pub fn new(labels: &[String], truth: &[usize], predicted: &[usize]) -> Self {
        assert_eq!(truth.len(), predicted.len(), "each row has one true and one predicted label");
        let mut matrix = vec![vec![0; labels.len()]; labels.len()];
        for (&label, &found) in truth.iter().zip(predicted) {
            matrix[label][found] += 1;
        }
        Self::from_matrix(labels, matrix)
    }

    fn from_matrix(labels: &[String], matrix: Vec<Vec<u64>>) -> Self {
        let classes: Vec<ClassFigures> = labels.iter().enumerate().map(|(index, label)| ClassFigures::from_matrix(label, index, &matrix)).collect();
        let total: u64 = classes.iter().map(|class| class.support).sum();
        let right: u64 = (0..labels.len()).map(|index| matrix[index][index]).sum();
        let counts = |label: usize| labels[label] != NO_TECHNIQUE && occurs(&matrix, label);
        let counted: Vec<ClassFigures> = (0..labels.len()).filter(|&label| counts(label)).map(|label| classes[label].clone()).collect();
        let macro_average = average(&counted, |_| 1.0);
        let weighted_average = average(&classes, |class| class.support as f64);
        Self { matrix, accuracy: ratio(right, total), classes, macro_average, weighted_average, total }
    }

    /// The confusion matrix as a table: a row a true label, a column a predicted one.
    pub fn matrix_table(&self) -> String {
        let cells = self.matrix.iter().flatten().map(|count| count.to_string().len());
        let widest = self.classes.iter().map(|class| class.label.chars().count()).chain(cells).max().unwrap_or(0);
        let first = widest.max("true \\ predicted".len());
        let mut table = format!("{:>first$}", "true \\ predicted");
        for class in &self.classes {
            table.push_str(&format!("  {:>widest$}", class.label));
        }
        for (class, row) in self.classes.iter().zip(&self.matrix) {
            table.push_str(&format!("\n{:>first$}", class.label));
            row.iter().for_each(|count| table.push_str(&format!("  {count:>widest$}")));
        }
        table.push('\n');
        table
    }
}

/// Whether some row has the label or was predicted to have it.
fn occurs(matrix: &[Vec<u64>], label: usize) -> bool {
    matrix[label].iter().chain(matrix.iter().map(|row| &row[label])).any(|&count| count > 0)
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl ClassFigures {
    /// Of a label that `predicted` rows were said to have and `support` rows have, `hits` of them the same.
    pub(crate) fn from_counts(label: &str, hits: u64, predicted: u64, support: u64) -> Self {
        let (precision, recall, f1) = (ratio(hits, predicted), ratio(hits, support), ratio(2 * hits, support + predicted));
        Self { label: label.to_owned(), precision, recall, f1, support }
    }

    fn from_matrix(label: &str, index: usize, matrix: &[Vec<u64>]) -> Self {
        Self::from_counts(label, matrix[index][index], matrix.iter().map(|row| row[index]).sum(), matrix[index].iter().sum())
    }
}

pub(crate) fn average(classes: &[ClassFigures], weight: impl Fn(&ClassFigures) -> f64) -> Averages {
    let all: f64 = classes.iter().map(&weight).sum();
    let mean = |value: fn(&ClassFigures) -> f64| {
        if all == 0.0 { 0.0 } else { classes.iter().map(|class| value(class) * weight(class)).sum::<f64>() / all }
    };
    Averages { precision: mean(|class| class.precision), recall: mean(|class| class.recall), f1: mean(|class| class.f1) }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let averages = [("macro avg", self.macro_average), ("weighted avg", self.weighted_average)];
        let classes: Vec<ClassFigures> = self.occurring().cloned().collect();
        table(out, &classes, ("accuracy", self.accuracy), averages, self.total)?;
        if let Some(absent) = self.absent_labels() {
            writeln!(out, "\n{absent}")?;
        }
        if self.classes.len() <= MOST_IN_MATRIX {
            return write!(out, "\n{}", self.matrix_table());
        }
        let confusions = self.confusions();
        if !confusions.is_empty() {
            writeln!(out, "\nwhat is most often taken for something else:")?;
        }
        for (truth, predicted, count) in confusions.into_iter().take(MOST_CONFUSIONS) {
            writeln!(out, "  {count:>6}  {} for {}", self.classes[predicted].label, self.classes[truth].label)?;
        }
        Ok(())
    }
}

/// Figures as scikit-learn's `classification_report` lays them out, four digits.
pub(crate) fn table(
    out: &mut fmt::Formatter<'_>,
    classes: &[ClassFigures],
    (right, share): (&str, f64),
    averages: [(&str, Averages); 2],
    total: u64,
) -> fmt::Result {
    let widest = classes.iter().map(|class| class.label.chars().count()).max().unwrap_or(0);
    let width = widest.max("weighted avg".len());
    writeln!(out, "{:>width$}  {:>9} {:>9} {:>9} {:>9}\n", "", "precision", "recall", "f1-score", "support")?;
    for class in classes {
        writeln!(out, "{:>width$}  {:>9.4} {:>9.4} {:>9.4} {:>9}", class.label, class.precision, class.recall, class.f1, class.support)?;
    }
    writeln!(out, "\n{right:>width$}  {:>9} {:>9} {share:>9.4} {total:>9}", "", "")?;
    for (name, average) in averages {
        writeln!(out, "{name:>width$}  {:>9.4} {:>9.4} {:>9.4} {total:>9}", average.precision, average.recall, average.f1)?;
    }
    Ok(())
}
