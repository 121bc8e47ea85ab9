# Makes v1.29.json: what some kinds of Kubernetes' API need, one definition to a line, strict, without descriptions.
#
#   jq -rf reduce.jq _definitions.json >v1.29.json
#
# _definitions.json is v1.29.0-local-strict of kubernetes-validate 1.37.0 (Apache-2.0), made from the OpenAPI document of
# Kubernetes 1.29.0 (Apache-2.0). 1.29 is the oldest version with sidecars; later ones take from v1 nothing away.
# A field without a value is refused here: it would be an unset one.

def bare: walk(if type != "object" then .
  else (if (.description | type) == "string" then del(.description) else . end)
    | (if (.type | type) == "array" then .type -= ["null"] | .type = .type[0] else . end)
    | with_entries(select(.key | startswith("x-kubernetes") | not))
  end);

def closure($all): . as $found
  | ([$found[] | $all[.] | .. | objects | ."$ref"? // empty | sub(".*/"; "")] + $found | unique)
  | if length == ($found | length) then . else closure($all) end;

."$defs" as $all
| ["apps.v1.Deployment", "core.v1.ConfigMap", "core.v1.PersistentVolumeClaim", "core.v1.Secret", "core.v1.Service",
   "core.v1.ServiceAccount", "rbac.v1.Role", "rbac.v1.RoleBinding"]
| map("io.k8s.api." + .) | unique | closure($all)
| map("  \(. | tojson): \($all[.] | bare | tojson)")
| "{\"$defs\": {", join(",\n"), "}}"
