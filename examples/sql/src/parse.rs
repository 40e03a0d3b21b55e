//! The text of an application as a tree: the frame by hand, its expressions by `sqlparser`.
//!
//! `sqlparser` knows neither pumps nor `WINDOWED BY`; its tokens and expressions serve for both.

use std::any::TypeId;

use sqlparser::ast::{
    self, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, NamedWindowExpr, ObjectName, Spanned, WindowSpec,
};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::text::{Checked, Mistake, Place};

/// The service took no longer text.
const LONGEST_TEXT: usize = 100 << 10;
/// The maximum number of words and signs of a statement. It bounds the depth of its tree.
const MOST_TOKENS: usize = 5_000;

/// A name as it is stored: in upper case unless it was quoted.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub quoted: bool,
    pub place: Place,
}

impl Name {
    pub fn of(ident: &Ident) -> Self {
        let quoted = ident.quote_style.is_some();
        let text = if quoted { ident.value.clone() } else { ident.value.to_uppercase() };
        Self { text, quoted, place: ident.span.start.into() }
    }
}

#[derive(Debug, Default)]
pub struct Application {
    pub streams: Vec<Stream>,
    pub pumps: Vec<Pump>,
}

#[derive(Debug)]
pub struct Stream {
    pub name: Name,
    pub columns: Vec<Column>,
}

#[derive(Debug)]
pub struct Column {
    pub name: Name,
    pub data_type: DataType,
}

#[derive(Debug)]
pub struct Pump {
    pub name: Name,
    pub into: Name,
    /// The columns that are named behind the stream.
    pub columns: Option<Vec<Name>>,
    pub select: Select,
}

#[derive(Debug)]
pub struct Select {
    pub place: Place,
    pub items: Vec<Item>,
    pub from: Name,
    pub alias: Option<Name>,
    pub filter: Option<Part>,
    pub grouping: Option<Grouping>,
    pub having: Option<Part>,
    pub windows: Vec<(Name, WindowSpec)>,
}

/// An expression, and where its text begins and ends.
#[derive(Debug)]
pub struct Part {
    pub expr: Box<Expr>,
    pub place: Place,
    pub end: Place,
}

#[derive(Debug)]
pub enum Item {
    /// `*`, or `s.*`.
    All(Place),
    One(Part, Option<Name>),
}

#[derive(Debug)]
pub enum Grouping {
    Stagger { partition: Vec<Part>, range: Part, place: Place },
    GroupBy { by: Vec<Part>, place: Place },
}

/// What `sqlparser` needs to know of this language.
#[derive(Debug)]
struct Streaming;

impl Dialect for Streaming {
    fn dialect(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || matches!(c, '_' | '$')
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }

    /// Words that begin an expression of their own kind. `sqlparser` would try each as a name too where it fails, and
    /// so again at each level within: here it fails at once.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let next = parser.peek_nth_token(1).token;
        let Token::Word(Word { value, quote_style: None, .. }) = parser.peek_token_ref().token.clone() else {
            return match &parser.peek_token_ref().token {
                Token::LParen if is_word(&next, "SELECT") => Some(refused(parser, "a SELECT within an expression")),
                sign @ (Token::LBracket | Token::LBrace) => Some(refused(parser, &format!("`{sign}`"))),
                _ => None,
            };
        };
        let word = value.to_uppercase();
        let special = match (word.as_str(), &next) {
            ("NOT", _) => after(parser, Parser::parse_not),
            ("CASE", Token::Comma | Token::RParen | Token::Period | Token::EOF) => return None,
            ("CASE", _) => after(parser, Parser::parse_case_expr),
            ("INTERVAL", Token::SingleQuotedString(_)) => after(parser, Parser::parse_interval),
            ("ARRAY", Token::LBracket) => refused(parser, "ARRAY"),
            (_, Token::LParen) => match word.as_str() {
                "STEP" => step(parser),
                "CAST" => after(parser, |parser| parser.parse_cast_expr(CastKind::Cast)),
                "EXTRACT" => after(parser, Parser::parse_extract_expr),
                "FLOOR" => after(parser, |parser| parser.parse_ceil_floor_expr(false)),
                "CEIL" | "CEILING" => after(parser, |parser| parser.parse_ceil_floor_expr(true)),
                "SUBSTR" | "SUBSTRING" => parser.parse_substring(),
                "TRIM" => after(parser, Parser::parse_trim_expr),
                "POSITION" => position(parser),
                "EXISTS" | "ARRAY" | "OVERLAY" | "CONVERT" | "TRY_CAST" | "SAFE_CAST" => refused(parser, &word),
                _ => return None,
            },
            _ => return None,
        };
        Some(special)
    }
}

/// Parses the text behind a word.
fn after<'p>(
    parser: &mut Parser<'p>,
    parse: impl FnOnce(&mut Parser<'p>) -> Result<Expr, ParserError>,
) -> Result<Expr, ParserError> {
    parser.next_token();
    parse(parser)
}

fn refused(parser: &Parser<'_>, what: &str) -> Result<Expr, ParserError> {
    let at = parser.peek_token_ref().span.start;
    Err(ParserError::ParserError(format!("{what} is not supported at Line: {}, Column: {}", at.line, at.column)))
}

/// `POSITION (x IN y)`.
fn position(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_subexpr(Streaming.prec_value(Precedence::Between))?);
    parser.expect_keyword(Keyword::IN)?;
    let r#in = Box::new(parser.parse_expr()?);
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Position { expr, r#in })
}

/// `STEP (x BY y)`: the call of a function `STEP` with two arguments.
fn step(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let word = parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let time = parser.parse_expr()?;
    parser.expect_keyword(Keyword::BY)?;
    let by = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    let args = [time, by].map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).to_vec();
    let args = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Ok(Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(word.span, "STEP")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

/// Whether a token is this word, without quotes.
fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(word))
}

/// Where an expression begins, if `sqlparser` knows.
pub fn place_of(expr: &Expr, or_else: Place) -> Place {
    let start = Place::from(expr.span().start);
    if start.line == 0 { or_else } else { start }
}

/// Blanks of every kind, and the mark that editors put at the beginning of a file.
fn is_blank(token: &Token) -> bool {
    match token {
        Token::Whitespace(_) => true,
        Token::Char(c) => c.is_whitespace() || *c == '\u{feff}',
        _ => false,
    }
}

/// Quotation marks that a word processor or a web page has changed.
fn check_quotes(tokens: &[TokenWithSpan]) -> Checked<()> {
    let is_changed = |token: &&TokenWithSpan| matches!(token.token, Token::Char('“' | '”' | '„' | '‘' | '’' | '‚'));
    match tokens.iter().find(is_changed) {
        None => Ok(()),
        Some(token) => Err(Mistake::new(
            token.span.start.into(),
            format!("the quotation mark {} is not one of SQL", token.token),
            "Write straight ones, \" or ': word processors and web pages change them.",
        )),
    }
}

/// Reads the text of an application.
pub fn parse(text: &str) -> Checked<Application> {
    if text.len() > LONGEST_TEXT {
        let what = format!("the text has {} bytes; the service took up to {LONGEST_TEXT}", text.len());
        return Err(Mistake::new(Place::default(), what, "Give one application only."));
    }
    let tokens = Tokenizer::new(&Streaming, text).tokenize_with_location().map_err(|error| {
        Mistake::new(error.location.into(), error.message, "Close the quote or the comment, or remove the character.")
    })?;
    check_quotes(&tokens)?;
    let mut application = Application::default();
    for statement in tokens.split(|token| token.token == Token::SemiColon) {
        let real: Vec<TokenWithSpan> = statement.iter().filter(|token| !is_blank(&token.token)).cloned().collect();
        let Some(first) = real.first() else { continue };
        if real.len() > MOST_TOKENS {
            let what = format!("the statement has more than {MOST_TOKENS} words and signs");
            return Err(Mistake::new(
                first.span.start.into(),
                what,
                "Split it: let one pump fill a stream for another.",
            ));
        }
        let mut frame = Frame::new(real);
        frame.statement(&mut application)?;
    }
    if application.pumps.is_empty() {
        let instead = "Write CREATE OR REPLACE PUMP \"NAME\" AS INSERT INTO \"STREAM\" SELECT STREAM … FROM …";
        return Err(Mistake::new(Place::default(), "the application has no pump, so it writes no row", instead));
    }
    Ok(application)
}

/// Reads columns as they stand between the brackets of CREATE STREAM: the schema of the source.
pub fn parse_columns(text: &str) -> Checked<Vec<Column>> {
    let tokens = Tokenizer::new(&Streaming, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| Mistake::new(error.location.into(), error.message, ""))?;
    let real: Vec<_> = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    if real.len() > MOST_TOKENS {
        return Err(Mistake::new(Place::default(), "the schema is too long", "Name only columns that the SQL uses."));
    }
    let mut frame = Frame::new(real);
    let columns = frame.columns()?;
    frame.end()?;
    Ok(columns)
}

/// One statement.
struct Frame {
    parser: Parser<'static>,
    /// Where the statement ends.
    end: Place,
}

/// Words that end a select item without AS.
const CLAUSES: [&str; 15] = [
    "FROM",
    "WHERE",
    "GROUP",
    "WINDOWED",
    "WINDOW",
    "HAVING",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "ORDER",
    "LIMIT",
    "OVER",
    "ON",
    "JOIN",
    "AS",
];

const ONE_STREAM: &str =
    "A pump reads one stream here. Put the fields that belong together into one record before they reach the stream.";

impl Frame {
    fn new(tokens: Vec<TokenWithSpan>) -> Self {
        let end = tokens.last().map_or(Place::default(), |token| token.span.end.into());
        Self { parser: Parser::new(&Streaming).with_tokens_with_locations(tokens), end }
    }

    fn place(&self) -> Place {
        let at = Place::from(self.parser.peek_token_ref().span.start);
        if at.line == 0 { self.end } else { at }
    }

    fn sees(&self, word: &str) -> bool {
        is_word(&self.parser.peek_token_ref().token, word)
    }

    fn takes(&mut self, word: &str) -> bool {
        let sees = self.sees(word);
        if sees {
            self.parser.next_token();
        }
        sees
    }

    fn needs(&mut self, word: &str) -> Checked<()> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    fn takes_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    fn needs_token(&mut self, token: &Token) -> Checked<()> {
        if self.takes_token(token) { Ok(()) } else { Err(self.unexpected(&format!("`{token}`"))) }
    }

    fn unexpected(&self, expected: &str) -> Mistake {
        let found = match &self.parser.peek_token_ref().token {
            Token::EOF => "the end of the statement".to_owned(),
            other => format!("`{other}`"),
        };
        Mistake::new(self.place(), format!("expected {expected}, found {found}"), "")
    }

    fn end(&self) -> Checked<()> {
        match self.parser.peek_token_ref().token {
            Token::EOF => Ok(()),
            _ => Err(self.unexpected("the end of the statement, or `;`")),
        }
    }

    fn mistake_of(&self, error: &ParserError) -> Mistake {
        match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
                let (what, place) = split_place(message).unwrap_or((message, self.place()));
                let place = if place.line == 0 { self.place() } else { place };
                Mistake::new(place, what, "")
            }
            ParserError::RecursionLimitExceeded => {
                let instead = "Let one pump compute the inner part into a stream, and another read it.";
                Mistake::new(self.place(), "the expression is nested too deeply", instead)
            }
        }
    }

    fn name(&mut self) -> Checked<Name> {
        if matches!(self.parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
            let mut mistake = self.unexpected("a name");
            mistake.instead = "Names are quoted with \", texts with '.".to_owned();
            return Err(mistake);
        }
        let ident = self.parser.parse_identifier().map_err(|error| self.mistake_of(&error))?;
        Ok(Name::of(&ident))
    }

    fn part(&mut self) -> Checked<Part> {
        let place = self.place();
        let expr = self.parser.parse_expr().map_err(|error| self.mistake_of(&error))?;
        Ok(Part { expr: Box::new(expr), place, end: self.place() })
    }

    fn listed<T>(&mut self, mut one: impl FnMut(&mut Self) -> Checked<T>) -> Checked<Vec<T>> {
        let mut list = vec![one(self)?];
        while self.takes_token(&Token::Comma) {
            list.push(one(self)?);
        }
        Ok(list)
    }

    fn statement(&mut self, application: &mut Application) -> Checked<()> {
        let place = self.place();
        if !self.takes("CREATE") {
            let instead = "An application consists of CREATE STREAM and CREATE PUMP statements.";
            let first = self.parser.peek_token_ref().to_string();
            return Err(Mistake::new(place, format!("a statement `{first} …` is not supported"), instead));
        }
        if self.takes("OR") {
            self.needs("REPLACE")?;
        }
        let is_temporary = self.takes("TEMPORARY") || self.takes("TEMP");
        if self.sees("STREAM") || is_temporary {
            self.needs("STREAM")?;
            application.streams.push(self.stream()?);
        } else if self.takes("PUMP") {
            application.pumps.push(self.pump()?);
        } else {
            let instead = "Only CREATE STREAM and CREATE PUMP run here. Put what a view or function computes into a \
                           pump that fills a stream.";
            let what = self.parser.peek_token_ref().to_string();
            return Err(Mistake::new(self.place(), format!("CREATE {what} is not supported"), instead));
        }
        self.end()
    }

    fn stream(&mut self) -> Checked<Stream> {
        let name = self.name()?;
        self.needs_token(&Token::LParen)?;
        let columns = self.columns()?;
        self.needs_token(&Token::RParen)?;
        self.description()?;
        Ok(Stream { name, columns })
    }

    fn columns(&mut self) -> Checked<Vec<Column>> {
        self.listed(|frame| {
            let name = frame.name()?;
            let data_type = frame.parser.parse_data_type().map_err(|error| frame.mistake_of(&error))?;
            if frame.takes("NOT") {
                frame.needs("NULL")?;
            }
            Ok(Column { name, data_type })
        })
    }

    /// DESCRIPTION 'text' is passed over.
    fn description(&mut self) -> Checked<()> {
        if self.takes("DESCRIPTION") {
            self.parser.parse_literal_string().map_err(|error| self.mistake_of(&error))?;
        }
        Ok(())
    }

    fn pump(&mut self) -> Checked<Pump> {
        let name = self.name()?;
        let _ = self.takes("STARTED") || self.takes("STOPPED"); // every pump runs
        self.description()?;
        self.needs("AS")?;
        self.needs("INSERT")?;
        self.needs("INTO")?;
        let into = self.qualified_name()?;
        let columns = match self.takes_token(&Token::LParen) {
            true => {
                let columns = self.listed(Self::name)?;
                self.needs_token(&Token::RParen)?;
                Some(columns)
            }
            false => None,
        };
        let select = self.select()?;
        Ok(Pump { name, into, columns, select })
    }

    /// A name without the catalog and schema before it.
    fn qualified_name(&mut self) -> Checked<Name> {
        let mut name = self.name()?;
        while self.takes_token(&Token::Period) {
            name = self.name()?;
        }
        Ok(name)
    }

    fn select(&mut self) -> Checked<Select> {
        let place = self.place();
        self.needs("SELECT")?;
        let _ = self.takes("STREAM"); // a pump reads streams with and without the word
        if self.sees("DISTINCT") {
            let instead = "Use GROUP BY with STEP(ROWTIME BY …): one row for each group and window.";
            return Err(Mistake::new(self.place(), "SELECT DISTINCT is not supported", instead));
        }
        self.takes("ALL");
        let items = self.listed(Self::item)?;
        self.needs("FROM")?;
        let from = self.source()?;
        let alias = self.source_alias()?;
        self.refuse_joins()?;
        let filter = if self.takes("WHERE") { Some(self.part()?) } else { None };
        let mut grouping = self.grouping()?;
        let mut having = if self.takes("HAVING") { Some(self.part()?) } else { None };
        let windows = if self.takes("WINDOW") { self.listed(Self::window)? } else { Vec::new() };
        if grouping.is_none() {
            grouping = self.grouping()?;
            having = if self.takes("HAVING") { Some(self.part()?) } else { having };
        }
        self.refuse_rest()?;
        Ok(Select { place, items, from, alias, filter, grouping, having, windows })
    }

    fn item(&mut self) -> Checked<Item> {
        let place = self.place();
        let dotted = self.parser.peek_nth_token(1).token == Token::Period;
        if self.takes_token(&Token::Mul) {
            return Ok(Item::All(place));
        }
        if dotted && self.parser.peek_nth_token(2).token == Token::Mul {
            self.name()?;
            self.parser.next_token();
            self.parser.next_token();
            return Ok(Item::All(place));
        }
        let part = self.part()?;
        let alias = self.alias()?;
        Ok(Item::One(part, alias))
    }

    fn alias(&mut self) -> Checked<Option<Name>> {
        if self.takes("AS") {
            return self.name().map(Some);
        }
        match &self.parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_some() => self.name().map(Some),
            Token::Word(word) if !CLAUSES.iter().any(|clause| word.value.eq_ignore_ascii_case(clause)) => {
                self.name().map(Some)
            }
            _ => Ok(None),
        }
    }

    fn source(&mut self) -> Checked<Name> {
        let place = self.place();
        if self.parser.peek_token_ref().token == Token::LParen {
            let instead =
                "Create a stream for the inner SELECT and fill it by a pump of its own; read that stream here.";
            return Err(Mistake::new(place, "a SELECT in FROM is not supported", instead));
        }
        if self.sees("TABLE") || self.parser.peek_nth_token(1).token == Token::LParen {
            return Err(self.table_function(place));
        }
        self.qualified_name()
    }

    /// Names the function that makes a table, and what to do without it.
    fn table_function(&mut self, place: Place) -> Mistake {
        if self.takes("TABLE") {
            self.takes_token(&Token::LParen);
        }
        let place = if self.place().line == 0 { place } else { self.place() };
        let name = self.parser.peek_token_ref().to_string().to_uppercase();
        let instead = match name.as_str() {
            "RANDOM_CUT_FOREST" | "RANDOM_CUT_FOREST_WITH_EXPLANATION" => {
                "Write the rows that it read to a file or stream, and score them with a library of random cut forests."
            }
            "HOTSPOTS" => "Write the rows that it read to a file, and cluster them there.",
            "TOP_K_ITEMS_TUMBLING" => {
                "Count with GROUP BY item, STEP(ROWTIME BY …), and take the largest of each window from the rows."
            }
            "COUNT_DISTINCT_ITEMS_TUMBLING" => {
                "Use COUNT(DISTINCT item) with GROUP BY STEP(ROWTIME BY …): it is exact here."
            }
            _ => "Read a stream by its name.",
        };
        Mistake::new(place, format!("the table function {name} is not supported"), instead)
    }

    fn source_alias(&mut self) -> Checked<Option<Name>> {
        const BEFORE_JOIN: [&str; 9] = ["LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "OUTER", "JOIN", "OVER"];
        if BEFORE_JOIN.iter().any(|word| self.sees(word)) {
            return Ok(None);
        }
        self.alias()
    }

    fn refuse_joins(&mut self) -> Checked<()> {
        let place = self.place();
        if self.takes_token(&Token::Comma) {
            return Err(Mistake::new(place, "a join of two streams is not supported", ONE_STREAM));
        }
        for word in ["JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL"] {
            if self.sees(word) {
                return Err(Mistake::new(place, "JOIN is not supported, nor are reference tables", ONE_STREAM));
            }
        }
        if self.sees("OVER") {
            let what = "a window behind a stream's name, as joins have, is not supported";
            return Err(Mistake::new(place, what, ONE_STREAM));
        }
        Ok(())
    }

    fn grouping(&mut self) -> Checked<Option<Grouping>> {
        let place = self.place();
        if self.takes("WINDOWED") {
            self.needs("BY")?;
            if !self.sees("STAGGER") {
                let mut mistake = self.unexpected("STAGGER");
                mistake.instead =
                    "WINDOWED BY knows STAGGER only. Tumbling windows are GROUP BY … STEP(ROWTIME BY …), \
                                   sliding ones WINDOW w AS (…)."
                        .to_owned();
                return Err(mistake);
            }
            self.needs("STAGGER")?;
            return self.stagger(place).map(Some);
        }
        if self.takes("GROUP") {
            self.needs("BY")?;
            let by = self.listed(Self::part)?;
            return Ok(Some(Grouping::GroupBy { by, place }));
        }
        Ok(None)
    }

    fn stagger(&mut self, place: Place) -> Checked<Grouping> {
        self.needs_token(&Token::LParen)?;
        self.needs("PARTITION")?;
        self.needs("BY")?;
        let partition = self.listed(Self::part)?;
        self.needs("RANGE")?;
        let range = self.part()?;
        self.needs_token(&Token::RParen)?;
        Ok(Grouping::Stagger { partition, range, place })
    }

    fn window(&mut self) -> Checked<(Name, WindowSpec)> {
        let ast::NamedWindowDefinition(ident, definition) =
            self.parser.parse_named_window().map_err(|error| self.mistake_of(&error))?;
        match definition {
            NamedWindowExpr::WindowSpec(spec) => Ok((Name::of(&ident), spec)),
            NamedWindowExpr::NamedWindow(_) => Err(self.unexpected("`(`")),
        }
    }

    fn refuse_rest(&self) -> Checked<()> {
        const REST: [(&str, &str, &str); 6] = [
            ("UNION", "UNION", "Write two pumps that fill the same stream."),
            ("INTERSECT", "INTERSECT", "Write a WHERE clause that says which rows to keep."),
            ("EXCEPT", "EXCEPT", "Write a WHERE clause that says which rows to keep."),
            ("ORDER", "ORDER BY", "Rows come in the order of ROWTIME. Sort them where they are stored."),
            ("LIMIT", "LIMIT", "Take the first rows where they are stored."),
            ("FETCH", "FETCH", "Take the first rows where they are stored."),
        ];
        match REST.iter().find(|(word, ..)| self.sees(word)) {
            Some((_, clause, instead)) => {
                Err(Mistake::new(self.place(), format!("{clause} is not supported"), *instead))
            }
            None => self.end(),
        }
    }
}

/// Takes the place off the end of a message of `sqlparser`.
fn split_place(message: &str) -> Option<(&str, Place)> {
    let (what, at) = message.rsplit_once(" at Line: ")?;
    let (line, column) = at.split_once(", Column: ")?;
    Some((what, Place { line: line.parse().ok()?, column: column.parse().ok()? }))
}
