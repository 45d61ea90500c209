//! Expectations, beside the installed tool.

use crate::compare::{assert_same, assert_same_lines, at_once};
use crate::run::{THEIRS, ours, words};
use crate::space::Space;
use crate::traffic::Network;

#[test]
fn what_a_helper_expects_is_listed_as_the_tool_lists_it() {
    let Some(network) = Network::new() else {
        return;
    };
    let session = network.expecting();
    let router = &network.router;
    for line in [
        "-L expect",
        "-L exp -o xml",
        "-L expect -o extended,id",
        "-L expect -f ipv6",
    ] {
        let ask = |program| router.run(program, &words(line));
        let (ours, theirs) = at_once(|| ask(ours()), || ask(THEIRS));
        assert_same(&ours.out, &theirs.out);
        assert_eq!(
            (ours.err, ours.status),
            (theirs.err, theirs.status),
            "{line}"
        );
    }
    assert!(
        router
            .must(ours(), &words("-L expect"))
            .contains("helper=ftp")
    );
    for line in ["-C expect", "-S expect"] {
        assert_eq!(
            router.run(ours(), &words(line)),
            router.run(THEIRS, &words(line))
        );
    }
    drop(session);
}

#[test]
fn an_expectation_is_made_found_and_deleted() {
    let Some(network) = Network::new() else {
        return;
    };
    let session = network.expecting();
    let router: &Space = &network.router;
    let port = session.local_addr().unwrap().port();
    router.must(ours(), &["-F", "expect"]);
    let master = format!("-s 10.91.1.2 -d 10.91.2.2 -p tcp --sport {port} --dport 21");
    let create = format!(
        "-I expect {master} -t 100 --tuple-src 10.91.2.2 --tuple-dst 10.91.1.2 \
         --tuple-port-src 0 --tuple-port-dst 4444 --mask-src 255.255.255.255 \
         --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535"
    );
    let said = router.run(ours(), &words(&create));
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(
        said.err.ends_with("1 expectations have been created.\n"),
        "{}",
        said.err
    );
    let listed = router.must(THEIRS, &words("-L expect"));
    assert!(
        listed.contains("dst=10.91.1.2 sport=0 dport=4444 mask-src=255.255.255.255"),
        "{listed}"
    );
    assert_same_lines(&router.must(ours(), &words("-L expect")), &listed);

    let named = "-s 10.91.2.2 -d 10.91.1.2 -p tcp --sport 20 --dport 4444";
    let got = router.run(ours(), &words(&format!("-G expect {named}")));
    assert_same(&got.out, &listed);
    let gone = router.run(ours(), &words(&format!("-D expect {named}")));
    assert_eq!(
        (
            gone.status,
            router.must(THEIRS, &words("-C expect")).as_str()
        ),
        (0, "0\n")
    );
    let again = router.run(ours(), &words(&format!("-G expect {named}")));
    assert_eq!(again.status, 1, "{}", again.err);
    let orphan = create.replace("--dport 21", "--dport 22");
    let said = router.run(ours(), &words(&orphan));
    assert!(
        said.err
            .ends_with("Operation failed: master conntrack not found\n"),
        "{}",
        said.err
    );
}
