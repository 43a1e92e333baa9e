"""How the page's scripts and styles are served: cached for ever by address, never stale."""

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, get

from gateway.api.talk.assets import Assets


def client(assets: Assets) -> TestClient:
    """A client of a server that serves nothing but the assets."""
    app = Application()
    app.add_routes([get("/talk/assets/{version}/{name}", assets.serve)])
    return TestClient(TestServer(app))


async def test_an_asset_of_this_version_may_be_kept_for_ever() -> None:
    assets = Assets.load()
    async with client(assets) as http:
        answer = await http.get(f"/talk/assets/{assets.version}/main.js")

        assert answer.status == 200
        assert answer.content_type == "text/javascript"
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_page_from_before_an_upgrade_gets_todays_asset_and_may_not_keep_it() -> None:
    assets = Assets.load()
    async with client(assets) as http:
        answer = await http.get("/talk/assets/0123456789abcdef/main.js")

        assert await answer.read() == assets.by_name["main.js"].body
        assert answer.headers["Cache-Control"] == "no-cache"


async def test_an_asset_the_browser_has_is_not_sent_again() -> None:
    assets = Assets.load()
    async with client(assets) as http:
        first = await http.get(f"/talk/assets/{assets.version}/page.css")
        known = {"If-None-Match": first.headers["ETag"]}
        again = await http.get(f"/talk/assets/{assets.version}/page.css", headers=known)

        assert (again.status, await again.read()) == (304, b"")


async def test_what_is_not_an_asset_is_not_found() -> None:
    assets = Assets.load()
    async with client(assets) as http:
        for name in ("nothing.js", "figtree-LICENSE.txt", "..%2Fpage.py"):
            answer = await http.get(f"/talk/assets/{assets.version}/{name}")

            assert answer.status == 404


def test_every_script_a_module_imports_is_served() -> None:
    assets = Assets.load()
    sources = [assets.by_name[name].body.decode() for name in assets.modules]

    imported = {
        line.split('"./')[1].split('"')[0]
        for source in sources
        for line in source.splitlines()
        if line.startswith(("import ", "} from ")) and '"./' in line
    }

    assert imported
    assert imported <= set(assets.modules)


def test_no_script_makes_markup_from_text() -> None:
    assets = Assets.load()
    sinks = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(")

    found = [
        (name, sink)
        for name in assets.modules
        for sink in sinks
        if sink in assets.by_name[name].body.decode()
    ]

    assert found == []
