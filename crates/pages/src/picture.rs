//! A picture of parts of a whole: rectangles whose areas are their sizes.

use crate::Text;
use maud::{Markup, html};

/// Height of the picture in pixels.
const HEIGHT: f64 = 160.0;
/// The width that rectangles are laid out for; the picture is as wide as the page.
const WIDTH: f64 = 800.0;
/// Shades that parts have, from the largest on.
const SHADES: usize = 6;

/// A part of a whole.
pub struct Part {
    /// What it is.
    pub name: String,
    /// How large, in words.
    pub size: String,
    /// How large.
    pub weight: u64,
}

/// Where a part is: the sides in percent of the width, top and height in pixels.
struct Place<'p> {
    part: &'p Part,
    number: usize,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The parts as a picture. `label` says what it is of; the text alternative is that and the parts.
pub fn treemap(label: &str, parts: &[Part]) -> Markup {
    let mut parts: Vec<&Part> = parts.iter().filter(|part| part.weight > 0).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.weight));
    let numbered: Vec<(usize, &Part)> = parts.iter().copied().enumerate().collect();
    let mut places = Vec::new();
    lay(&numbered, [0.0, 0.0, 100.0, HEIGHT], &mut places);
    let told: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {}", part.name, part.size))
        .collect();
    html! {
        @if !places.is_empty() {
            svg.treemap role="img" aria-label=(Text(&format!("{label}: {}", told.join(", ")))) width="100%" height=(HEIGHT) {
                @for place in &places { (self::place(place)) }
            }
        }
    }
}

fn place(place: &Place<'_>) -> Markup {
    let shade = format!("shade{}", place.number.min(SHADES - 1));
    let has_label = place.width / 100.0 * WIDTH >= 70.0 && place.height >= 22.0;
    let [x, width] = [place.x, place.width].map(|percent| format!("{percent:.2}%"));
    html! {
        svg x=(x) width=(width) y=(format!("{:.1}", place.y)) height=(format!("{:.1}", place.height)) {
            rect class=(shade) width="100%" height="100%" {
                title { (Text(&place.part.name)) " " (Text(&place.part.size)) }
            }
            @if has_label {
                text class=(shade) x="8" y="17" { (Text(&place.part.name)) }
                @if place.height >= 40.0 { text class=(shade) x="8" y="34" { (Text(&place.part.size)) } }
            }
        }
    }
}

/// Divides a rectangle (x, y, width, height) in two halves of about the same weight, along its longer side, and each of these.
fn lay<'p>(parts: &[(usize, &'p Part)], area: [f64; 4], places: &mut Vec<Place<'p>>) {
    let [x, y, width, height] = area;
    if let [(number, part)] = *parts {
        places.push(Place {
            part,
            number,
            x,
            y,
            width,
            height,
        });
    }
    if parts.len() < 2 {
        return;
    }
    let weight = |parts: &[(usize, &Part)]| {
        parts
            .iter()
            .map(|(_, part)| part.weight as f64)
            .sum::<f64>()
    };
    let all = weight(parts);
    let half = |at: &usize| (weight(&parts[..*at]) - all / 2.0).abs();
    let at = (1..parts.len())
        .min_by(|a, b| half(a).total_cmp(&half(b)))
        .unwrap_or(1);
    let (first, rest) = parts.split_at(at);
    let share = weight(first) / all;
    let is_wide = width / 100.0 * WIDTH >= height;
    let (one, other) = match is_wide {
        true => (
            [x, y, width * share, height],
            [x + width * share, y, width * (1.0 - share), height],
        ),
        false => (
            [x, y, width, height * share],
            [x, y + height * share, width, height * (1.0 - share)],
        ),
    };
    lay(first, one, places);
    lay(rest, other, places);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(weight: u64) -> Part {
        Part {
            name: format!("p{weight}"),
            size: format!("{weight} bytes"),
            weight,
        }
    }

    #[test]
    fn areas_are_in_proportion_and_fill_the_picture() {
        let parts: Vec<Part> = [50, 25, 15, 10].map(part).into();
        let numbered: Vec<(usize, &Part)> = parts.iter().enumerate().collect();
        let mut places = Vec::new();
        lay(&numbered, [0.0, 0.0, 100.0, HEIGHT], &mut places);
        for place in &places {
            let percent = place.width * place.height / HEIGHT;
            assert!(
                (percent - place.part.weight as f64).abs() < 1e-6,
                "{percent}"
            );
        }
        assert_eq!(places.len(), 4);
    }

    #[test]
    fn the_text_alternative_has_every_part() {
        let picture = treemap("Memory", &[part(3), part(u64::MAX), part(0)]).into_string();
        assert!(picture.contains("aria-label=\"Memory: p18446744073709551615 18446744073709551615 bytes, p3 3 bytes\""), "{picture}");
        assert_eq!(treemap("Memory", &[]).into_string(), "");
    }
}
