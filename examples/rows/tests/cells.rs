//! Cells of CSV rows are those that `Display` and the `csv` crate would write.

use proptest::prelude::*;
use rows::cells::Cells;
use stagger::{SessionId, Timestamp};

proptest! {
    #[test]
    fn cells_are_what_display_and_the_csv_crate_write(
        texts in prop::collection::vec("[a,\"\r\n é\u{1f}]{0,5}|plain text", 1..5),
        times in prop::collection::vec(prop_oneof![
            any::<i64>(), -100_000_000_000..100_000_000_000_i64, Just(i64::MIN), Just(i64::MAX),
            -62_167_219_200_000_001..-62_167_219_199_999_999_i64,
            253_402_300_799_999_999..253_402_300_800_000_001_i64,
        ], 1..12),
        number in any::<u64>(),
        id in any::<u128>(),
    ) {
        let id: SessionId = format!("{id:032x}").parse().unwrap();
        let mut cells = Cells::default();
        let mut csv = csv::Writer::from_writer(Vec::new());
        for _ in 0..2 {
            cells.id(id);
            csv.write_field(id.to_string()).unwrap();
            for text in &texts {
                cells.text(text);
                csv.write_field(text).unwrap();
            }
            for time in times.iter().chain(&times).copied().map(Timestamp::from_micros) {
                cells.time(time);
                csv.write_field(time.to_string()).unwrap();
            }
            cells.number(number);
            csv.write_field(number.to_string()).unwrap();
            cells.end_row();
            csv.write_record(None::<&[u8]>).unwrap();
        }
        let expected = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        prop_assert_eq!(String::from_utf8(cells.bytes).unwrap(), expected);
    }
}
