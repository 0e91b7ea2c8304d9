use super::{beside, plots, sections};
use crate::Document;

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--text:#1f2328;--faint:#656d76;--line:#d0d7de;--right:26,127,55;--wrong:207,34,46}
@media (prefers-color-scheme:dark){:root{--ground:#0d1117;--text:#e6edf3;--faint:#9198a1;--line:#3d444d;--right:63,185,80;--wrong:248,81,73}}
body{margin:0 auto;max-width:1280px;padding:1.5rem;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem}h3{font-size:1rem;margin:1.5rem 0 .4rem}
small,.none{color:var(--faint)}
small{white-space:nowrap}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th:first-child{text-align:left}
thead th{color:var(--faint);font-weight:500}
tbody th{font-weight:500}
.lines td,.lines th{text-align:left}
code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.matrix td span{display:block;padding:0 .4rem;border-radius:3px}
.matrix .right{background:rgba(var(--right),calc(.1 + .4*var(--share)))}
.matrix .wrong{background:rgba(var(--wrong),calc(.15 + .5*var(--share)))}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:1.5rem;margin-top:1.5rem}
figure{margin:0}
figure>svg{width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--faint)}
svg .plot-title{font-size:13px;font-weight:600;fill:var(--text)}
.middle{text-anchor:middle}.end{text-anchor:end}
.grid{stroke:var(--line);stroke-opacity:.6}
.guide{stroke:var(--faint);stroke-dasharray:4 3;fill:none}
.line{fill:none;stroke:var(--series);stroke-width:2;stroke-linejoin:round}
.dot{fill:var(--series);fill-opacity:.65}
.s0{--series:#3b82f6}.s1{--series:#f97316}.s2{--series:#10a37f}.s3{--series:#a855f7}.s4{--series:#e11d48}.s5{--series:#ca8a04}
.legend{list-style:none;margin:0;padding:0 0 0 3.2rem;font-size:13px}
.legend svg{width:20px;height:6px;margin-right:.5rem;vertical-align:middle}
@media print{body{max-width:none}.scroll{overflow:visible}}
";

/// The document as one HTML page. It holds no script and fetches nothing.
pub fn html_page(document: &Document) -> String {
    let mut body = String::new();
    if !document.models.is_empty() {
        body.push_str(&beside::side_by_side(&document.models));
        body.push_str(&plots::plots(&document.models));
    }
    if !document.comparisons.is_empty() {
        body.push_str(&beside::comparisons(&document.comparisons));
    }
    document.models.iter().for_each(|figures| body.push_str(&sections::model(figures)));
    document.robustness.iter().for_each(|robustness| body.push_str(&beside::robustness(robustness)));
    if !document.evidence.is_empty() {
        body.push_str(&beside::evidence(&document.evidence));
    }
    if let Some(drift) = &document.drift {
        body.push_str(&beside::drift(drift));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>attackline evaluation</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>attackline evaluation</h1>\n{body}</body>\n</html>\n"
    )
}
