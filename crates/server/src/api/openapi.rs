//! Owns the description of the API in OpenAPI 3.1, made of the table of routes.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::handlers::Shared;
use super::problem;
use super::route::{Route, Who};
use super::routes::table;
use super::signature::Operation;
use super::wire::Problem;

/// The description.
pub(super) async fn show(State(_): Shared) -> Response {
    ([(CONTENT_TYPE, "application/json")], description().to_string()).into_response()
}

/// The description of the API, as `/api/v1/openapi.json` has it.
pub fn description() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in table().filter(|route| route.who != Who::Local) {
        let operation = route.operation(&mut schemas);
        let method = route.method.as_str().to_lowercase();
        paths.entry(route.path).or_default().insert(method, described(&route, operation));
    }
    let mut definitions = schemas.take_definitions(true);
    definitions.values_mut().for_each(by_is_the_owner_of_the_token);
    let words = "Roles are a ladder: viewer, responder, approver, admin. Over the network a token says who acts; \
                 over the local socket `by` does. Lists go on where `Link` says so.";
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Paramedic",
            "version": env!("CARGO_PKG_VERSION"),
            "description": words,
        },
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {
                "Problem": {
                    "description": "What went wrong.",
                    "content": { (problem::KIND): { "schema": problem } },
                },
            },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The word of a token: `paramedic token create`." },
                "word": { "type": "http", "scheme": "bearer", "description": "The word of `[inbound]`." },
            },
        },
    })
}

fn described(route: &Route, operation: Operation) -> Value {
    let mut described = json!({
        "operationId": name(route),
        "summary": route.says,
        "tags": [tag(route.path)],
        "parameters": parameters(route, &operation),
        "responses": responses(route, &operation),
    });
    match route.who {
        Who::Role(role) => {
            described["security"] = json!([{ "token": [] }]);
            described["x-role"] = json!(role);
        }
        Who::Teller => described["security"] = json!([{ "word": [] }]),
        Who::Everybody | Who::Local => described["security"] = json!([]),
    }
    if let Some(body) = operation.body {
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    described
}

/// `get_incidents_incident_report`.
fn name(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1").replace(['{', '}'], "").replace(['.', '-'], "_");
    format!("{}{}", route.method.as_str().to_lowercase(), path.replace('/', "_"))
}

fn tag(path: &str) -> &str {
    path.trim_start_matches("/api/v1/").trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn parameters(route: &Route, operation: &Operation) -> Vec<Value> {
    let names = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = names
        .zip(&operation.path)
        .map(|(name, schema)| json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    let query = operation.query.as_ref().map(Schema::as_value).unwrap_or(&Value::Null);
    let required = query["required"].as_array().cloned().unwrap_or_default();
    let fields = query["properties"].as_object().into_iter().flatten();
    let in_query = fields.map(|(name, schema)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|fields| fields.remove("description"));
        never_null(&mut schema);
        let is_required = required.iter().any(|one| one == name);
        json!({ "name": name, "in": "query", "required": is_required, "schema": schema, "description": description.unwrap_or_default() })
    });
    let mut all: Vec<Value> = in_path.chain(in_query).collect();
    let header = |name: &str, words: &str| {
        json!({ "name": name, "in": "header", "required": false, "description": words,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" } })
    };
    if matches!(route.who, Who::Role(_)) && route.method == Method::POST {
        let words = "Makes it happen once: the same key with the same body is given the first answer again.";
        all.push(header("Idempotency-Key", words));
    }
    all
}

/// What is absent from a query is absent; a form has no null.
fn never_null(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            fields.insert("type".to_owned(), one);
        }
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
}

fn responses(route: &Route, operation: &Operation) -> Value {
    let content = match (&operation.answer, route.kinds) {
        (Some(schema), _) => json!({ "application/json": { "schema": schema } }),
        (None, kinds) => kinds.iter().map(|&kind| (kind.to_owned(), json!({}))).collect::<Map<_, _>>().into(),
    };
    let mut good = json!({ "description": "As asked.", "content": content });
    if operation.is_part {
        let words = "Where the list goes on: `<?cursor=…>; rel=\"next\"`; absent where this is the end.";
        good["headers"] = json!({ "Link": { "description": words, "schema": { "type": "string" } } });
    }
    let mut all = Map::from_iter([("200".to_owned(), good)]);
    if route.method == Method::GET && matches!(route.who, Who::Role(_)) {
        let words = "It is what `If-None-Match` has.";
        all.insert("304".to_owned(), json!({ "description": words }));
    }
    for status in refusals(route) {
        all.insert(status.to_string(), json!({ "$ref": "#/components/responses/Problem" }));
    }
    if route.path == "/health" {
        all.insert(
            "503".to_owned(),
            json!({ "description": "Not well.", "content": { "application/json": {} } }),
        );
    }
    all.into()
}

/// The ends of paths behind which a command is run.
const COMMANDS: [&str; 7] =
    ["/backups", "/data", "/data/scope", "/diagnosis", "/intruders", "/intruders/timeline", "/tuning"];

/// With which statuses something may be refused.
fn refusals(route: &Route) -> Vec<u16> {
    let of_all: &[u16] = &[400, 404, 421, 500, 503];
    let of_doors: &[u16] = match route.who {
        Who::Role(_) => &[401, 403, 429],
        Who::Teller => &[401],
        Who::Everybody | Who::Local => &[],
    };
    let of_posts: &[u16] = match (&route.method, route.who) {
        (&Method::POST, Who::Role(_)) => &[408, 409, 412, 413, 415, 422],
        (&Method::POST, _) => &[403, 408, 413, 415, 422, 429],
        _ => &[],
    };
    // What a command on this machine is asked, it may refuse.
    let of_commands: &[u16] = match route.method {
        Method::GET if COMMANDS.iter().any(|end| route.path.ends_with(end)) => &[409],
        _ => &[],
    };
    let of_backend: &[u16] = if route.path.starts_with("/api/v1/backend") { &[502] } else { &[] };
    [of_all, of_doors, of_posts, of_commands, of_backend].concat()
}

/// Over the network nobody has to say who they are.
fn by_is_the_owner_of_the_token(schema: &mut Value) {
    let Some(by) = schema.pointer_mut("/properties/by") else { return };
    by["description"] = "Who acts. Over the network this is the owner of the token, whatever is said.".into();
    by.as_object_mut().and_then(|by| by.remove("type"));
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != "by");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_description_in_the_documentation_is_that_of_the_routes() {
        let description = serde_json::to_string_pretty(&description()).unwrap() + "\n";
        expect_file!["../../../../docs/openapi.json"].assert_eq(&description);
    }

    #[test]
    fn every_route_is_described_once() {
        let description = description();
        let mut names: Vec<String> = Vec::new();
        for route in table().filter(|route| route.who != Who::Local) {
            let method = route.method.as_str().to_lowercase();
            let described = &description["paths"][route.path][&method];
            assert!(described["summary"].as_str().is_some_and(|says| !says.is_empty()), "{}", route.path);
            let variables = route.path.matches('{').count();
            let all = described["parameters"].as_array().unwrap();
            let in_path = all.iter().filter(|one| one["in"] == "path").count();
            assert_eq!(in_path, variables, "{} {}", route.method, route.path);
            let content = &described["responses"]["200"]["content"];
            assert!(content.as_object().is_some_and(|kinds| !kinds.is_empty()), "{}", route.path);
            names.push(name(&route));
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "each operation has a name of its own");
    }

    #[test]
    fn what_is_pointed_at_is_there() {
        let description = description();
        let text = description.to_string();
        for pointer in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(description.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
