"""The account that the local endpoint plays, and the variables that keep AWS clients on it."""

#: moto's default account.
ACCOUNT_ID = "123456789012"


def client_environment(port: int, region: str) -> dict[str, str]:
    """The variables that keep an AWS client on the endpoint; the credentials are made up."""
    return {
        "AWS_ENDPOINT_URL": f"http://localhost:{port}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Without this a proxy of the user's would get the requests.
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }
