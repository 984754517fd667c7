//! Who looks after a customer.

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::{preconditions, refused};
use time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{
        assign_owner, assign_team, employee, get, moment, register, registration, release_owner,
    },
    stack::Stack,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_employee_owns_the_contact_until_released() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let birgul = register(&mut client, employee()).await;
    let id = register(&mut client, registration()).await;
    assert_eq!(
        get(&mut client, &birgul).await.affiliation(),
        pb::CustomerAffiliation::Internal
    );
    assert_eq!(
        get(&mut client, &id).await.affiliation(),
        pb::CustomerAffiliation::External
    );
    assert_eq!(get(&mut client, &id).await.owner, None);
    let answer = client.assign_owner(assign_owner(&id, &birgul)).await;
    let answer = answer.unwrap().into_inner();
    client
        .assign_team(assign_team(&id, "key-accounts"))
        .await
        .unwrap();
    let customer = get(&mut client, &id).await;
    let owner = customer.owner.unwrap();
    assert_eq!(
        (owner.employee_id, owner.role.as_str()),
        (birgul.clone(), "representative")
    );
    assert_eq!(customer.team, "key-accounts");
    assert_eq!((answer.etag.as_str(), customer.etag.as_str()), ("2", "3"));
    let released = client.release_owner(release_owner(&id)).await.unwrap();
    client.assign_team(assign_team(&id, "")).await.unwrap();
    assert_eq!(released.into_inner().etag, "4");
    let customer = get(&mut client, &id).await;
    assert_eq!((customer.owner, customer.team.as_str()), (None, ""));
    let then = pb::GetCustomerRequest {
        customer_id: id.clone(),
        as_of: owner.since_time,
    };
    let then = client.get_customer(then).await.unwrap().into_inner();
    assert_eq!(then.customer.unwrap().owner.unwrap().employee_id, birgul);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_an_owner_who_is_no_employee_of_the_tenant() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let outsider = register(&mut client, registration()).await;
    let status = refused(
        &stack,
        Code::FailedPrecondition,
        "OWNER_NOT_INTERNAL",
        client.assign_owner(assign_owner(&id, &outsider)),
    )
    .await;
    assert_eq!(preconditions(&status), [format!("customer/{outsider}")]);
    let elsewhere = register(&mut stack.client_of("other", &["customers.*"]), employee()).await;
    for nobody in [elsewhere, Uuid::from_u128(404).to_string()] {
        refused(
            &stack,
            Code::NotFound,
            "NOT_FOUND",
            client.assign_owner(assign_owner(&id, &nobody)),
        )
        .await;
    }
    let own = register(&mut client, employee()).await;
    refused(
        &stack,
        Code::FailedPrecondition,
        "OWNER_IS_CUSTOMER",
        client.assign_owner(assign_owner(&own, &own)),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_was_before_what_was_told_already() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let birgul = register(&mut client, employee()).await;
    let id = register(&mut client, registration()).await;
    let yesterday = moment(clock::now() - Duration::days(1));
    client
        .assign_owner(assign_owner(&id, &birgul))
        .await
        .unwrap();
    let release = pb::ReleaseOwnerRequest {
        released_time: yesterday,
        ..release_owner(&id)
    };
    let team = pb::AssignTeamRequest {
        assigned_time: yesterday,
        ..assign_team(&id, "key-accounts")
    };
    let reason = "OUT_OF_ORDER";
    let code = Code::FailedPrecondition;
    refused(&stack, code, reason, client.release_owner(release)).await;
    refused(&stack, code, reason, client.assign_team(team)).await;
    let owner = pb::AssignOwnerRequest {
        assigned_time: yesterday,
        role: "agent".to_owned(),
        ..assign_owner(&id, &birgul)
    };
    refused(&stack, code, reason, client.assign_owner(owner)).await;
    stack.stop().await;
}
