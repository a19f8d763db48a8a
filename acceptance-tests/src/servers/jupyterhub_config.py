"""A hub for tests: in memory, without a proxy, since nobody browses it, and without people."""

import os

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """The API answers at the hub's own address."""

    should_start = False
    routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


port = int(os.environ["HUB_PORT"])
c = get_config()  # noqa: F821 - given by the hub

c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = port
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
token = os.environ["HUB_TOKEN"]
# `nhi` is an admin. The others have what their role gives them, and no more.
roles = {
    "keeper": ["admin:users", "admin:groups", "tokens", "shares", "servers"],
    "viewer": [
        "list:users",
        "read:users",
        "read:roles:users",
        "list:groups",
        "read:groups",
        "read:tokens",
        "read:users:shares",
    ],
    "narrow": ["list:users!group=readers", "read:users!group=readers", "read:roles:users"],
}
c.JupyterHub.services = [{"name": "nhi", "admin": True, "api_token": token}] + [
    {"name": name, "api_token": f"{token}-{name}"} for name in roles
]
c.JupyterHub.load_groups = {"readers": {"users": []}, "graders": {"users": []}}
c.JupyterHub.load_roles = [
    {"name": "reader", "scopes": ["list:users", "read:users"], "groups": ["readers"]},
    {"name": "grader", "scopes": ["read:users", "servers"], "groups": ["graders"]},
    {"name": "veteran", "scopes": ["read:users"], "users": ["veteran"]},
] + [{"name": name, "scopes": scopes, "services": [name]} for name, scopes in roles.items()]
