"""What the workflows in `feature_workflows` need of a server."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    CreateNexusEndpointRequest,
    ListNexusEndpointsRequest,
)
from temporalio.client import Client

from tests.tracer.feature_workflows import CITY, NEXUS_ENDPOINT, QUEUE


async def prepare(address: str) -> None:
    """Make the search attribute and the Nexus endpoint, unless the server has them."""
    client = await Client.connect(address)
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            search_attributes={CITY.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
            namespace=client.namespace,
        )
    )
    known = await client.operator_service.list_nexus_endpoints(ListNexusEndpointsRequest())
    if any(endpoint.spec.name == NEXUS_ENDPOINT for endpoint in known.endpoints):
        return
    worker = EndpointTarget.Worker(namespace=client.namespace, task_queue=QUEUE)
    spec = EndpointSpec(name=NEXUS_ENDPOINT, target=EndpointTarget(worker=worker))
    await client.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec))
