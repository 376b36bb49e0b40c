//! `explain`, byte for byte, from both kinds of OpenAPI documents.

use crate::compare::Both;
use e2e::{Scope, own, until};

pub fn kinds_are_explained_alike(t: &Scope) {
    let (_folder, own) = own(t, "explain");
    let both = Both {
        stock: t,
        own: &own,
    };
    for arguments in [
        "explain pods",
        "explain pod.spec.containers.env.valueFrom --recursive",
        "explain deployments.apps.spec.strategy",
        "explain deploy.spec.template.spec.volumes --output=plaintext-openapiv2",
        "explain svc.spec.ports --recursive --output=plaintext-openapiv2",
        "explain service.spec.type",
        "explain pods.spec.nothing",
        "explain nothing",
        "explain",
        "explain pods --api-version=apps/v1",
    ] {
        both.agree(arguments);
    }
    t.apply(CHEST);
    until("chests are served", || t.run("get chests").is_ok());
    both.agree("explain chests.spec --recursive");
    both.agree("explain chests.spec.lids");
    t.ok("delete customresourcedefinition chests.explained.io");
}

const CHEST: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: chests.explained.io}
spec:
  group: explained.io
  scope: Namespaced
  names: {plural: chests, singular: chest, kind: Chest}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: A chest holds what is dear to somebody.
        properties:
          spec:
            type: object
            required: [lids]
            properties:
              lids: {type: array, description: 'What closes it.', items: {type: object, properties: {colour: {type: string, enum: [red, blue]}}}}
              labels: {type: object, additionalProperties: {type: string}}
";
