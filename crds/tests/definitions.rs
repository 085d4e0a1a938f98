//! The CustomResourceDefinitions.
use eywa_crds::definitions::definitions;

#[test]
fn dump() {
    for definition in definitions().unwrap() {
        println!("{}", definition.to_yaml().unwrap());
    }
}
