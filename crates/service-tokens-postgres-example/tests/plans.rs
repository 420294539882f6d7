//! The plans of the statements about many rows, on a real server.

#![allow(clippy::expect_used, reason = "a failed step ends the test")]

mod server;

use server::Server;
use service_tokens_postgres_example::store::{REMOVE_MANY, REPLACE_MANY, SCHEMA, TOUCH};

/// Rows of one owner, and the arrays that name 1,000 of them.
const ROWS: &str = "
    insert into service_token (id, version, record, format, owner, created_at)
    select gen_random_uuid(), n, decode(repeat('ab', 220), 'hex'), 1, 'acme', n from generate_series(1, 200000) as n;
    analyze service_token;
    create temp table picked as
    select array_agg(id) as ids, array_agg(version) as versions, array_agg(record) as records,
           array_agg(format) as formats, array_agg(owner) as owners, array_agg(created_at) as times
    from (select * from service_token order by id limit 1000) as first_rows;";

/// Each statement with the types of its parameters, and with the expression that writes its arguments.
const STATEMENTS: [(&str, &str, &str); 3] = [
    (TOUCH, "uuid[], bigint[]", "format('%L, %L', ids, times)"),
    (
        REPLACE_MANY,
        "uuid[], bigint[], bigint[], bytea[], smallint[], bytea[], bigint[], smallint",
        "format('%L, %L, %L, %L, %L, %L, %L, 1::smallint', ids, versions, versions, records, formats, owners, times)",
    ),
    (REMOVE_MANY, "uuid[], bigint[]", "format('%L, %L', ids, versions)"),
];

#[tokio::test]
#[ignore = "needs the programs of PostgreSQL; .ci/run installs them"]
async fn many_rows_are_joined_by_an_index() {
    let server = Server::start();
    let schema = server.new_schema().await.expect("a schema");
    let client = server.administrator().await.expect("a connection");
    client.batch_execute(&format!("set search_path = {schema}")).await.expect("a setting");
    client.batch_execute(SCHEMA).await.expect("a table");
    client.batch_execute(ROWS).await.expect("rows");
    for (number, (statement, types, arguments)) in (0..).zip(STATEMENTS) {
        let prepare = format!("prepare statement_{number} ({types}) as {statement}");
        client.batch_execute(&prepare).await.expect("a prepared statement");
        let written = client.query_one(&format!("select {arguments} from picked"), &[]).await;
        let arguments: String = written.expect("arguments").get(0);
        for mode in ["force_custom_plan", "force_generic_plan"] {
            client.batch_execute(&format!("set plan_cache_mode = {mode}")).await.expect("a mode");
            let explain = format!("explain execute statement_{number} ({arguments})");
            let lines = client.query(&explain, &[]).await.expect("a plan");
            let plan: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
            let plan = plan.join("\n");
            // A join that compares every pair of rows has a filter, and one by an index has a condition.
            assert!(plan.contains("Index Cond"), "{mode}, {statement}:\n{plan}");
            assert!(!plan.contains("Join Filter"), "{mode}, {statement}:\n{plan}");
        }
    }
}
