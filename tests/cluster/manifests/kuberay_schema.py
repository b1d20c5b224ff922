"""Fields of KubeRay's ray.io/v1 RayCluster and RayJob that the manifests use, and no others.

KubeRay's own CRDs are in no Python package, and no cluster has taken the manifests yet: this stands in for them,
written by hand, with names and values compared with KubeRay's public types of v1. It refuses unknown fields, which
Kubernetes drops. Pod templates, the larger part of the CRDs, are checked against Kubernetes' own schemas.
"""

from typing import Any

STRING, BOOLEAN, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": STRING}
OBJECT = {"type": "object"}
TEMPLATE = {"type": "object", "required": ["spec"], "properties": {"metadata": OBJECT, "spec": OBJECT}}


def fields(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An object with these fields only."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


HEAD = fields(
    ("template",),
    template={**TEMPLATE, "additionalProperties": False},
    headService=OBJECT,
    enableIngress=BOOLEAN,
    resources=TEXTS,
    labels=TEXTS,
    rayStartParams=TEXTS,
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]},
)
WORKERS = fields(
    ("template", "groupName", "minReplicas", "maxReplicas"),
    template={**TEMPLATE, "additionalProperties": False},
    groupName=STRING,
    suspend=BOOLEAN,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    resources=TEXTS,
    labels=TEXTS,
    rayStartParams=TEXTS,
    scaleStrategy=fields(workersToDelete={"type": "array", "items": STRING}),
    numOfHosts=COUNT,
)
AUTOSCALER = fields(
    resources=OBJECT,
    image=STRING,
    imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    securityContext=OBJECT,
    idleTimeoutSeconds=COUNT,
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    version={"enum": ["v1", "v2"]},
    env={"type": "array", "items": OBJECT},
    envFrom={"type": "array", "items": OBJECT},
    volumeMounts={"type": "array", "items": OBJECT},
)
CLUSTER = fields(
    ("headGroupSpec",),
    authOptions=fields(mode={"enum": ["disabled", "token"]}, enableK8sTokenAuth=BOOLEAN),
    suspend=BOOLEAN,
    managedBy=STRING,
    autoscalerOptions=AUTOSCALER,
    headServiceAnnotations=TEXTS,
    enableInTreeAutoscaling=BOOLEAN,
    gcsFaultToleranceOptions=OBJECT,
    headGroupSpec=HEAD,
    rayVersion=STRING,
    workerGroupSpecs={"type": "array", "items": WORKERS},
    upgradeStrategy=fields(type={"enum": ["Recreate", "None"]}),
)
JOB = fields(
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER,
    submitterPodTemplate=TEMPLATE,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig=fields(backoffLimit=COUNT),
    managedBy=STRING,
    deletionStrategy=OBJECT,
    entrypoint=STRING,
    runtimeEnvYAML=STRING,
    jobId=STRING,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    entrypointResources=STRING,
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    ttlSecondsAfterFinished=COUNT,
    preRunningDeadlineSeconds=COUNT,
    shutdownAfterJobFinishes=BOOLEAN,
    suspend=BOOLEAN,
)
SCHEMAS = {
    kind: fields(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=fields(("name",), name=STRING, namespace=STRING, labels=TEXTS, annotations=TEXTS),
        spec=spec,
    )
    for kind, spec in (("RayCluster", CLUSTER), ("RayJob", JOB))
}
