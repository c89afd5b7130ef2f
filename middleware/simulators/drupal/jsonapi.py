"""The JSON:API of the simulated site: from a request to a document, in the order in which Drupal decides."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from middleware.simulators.drupal import queries, writes
from middleware.simulators.drupal.access import Authentication, Viewer, refusal
from middleware.simulators.drupal.catalog_types import FILE
from middleware.simulators.drupal.documents import Documents, Json, check_include, document, refused_view
from middleware.simulators.drupal.entities import Entity
from middleware.simulators.drupal.problems import Problem
from middleware.simulators.drupal.resource_types import ResourceType
from middleware.simulators.drupal.site import Site

_TYPE = "application/vnd.api+json"
_PATH = re.compile(
    r"(?:/(?P<language>[a-z]{2}))?/jsonapi(?:/(?P<entity>\w+)/(?P<bundle>\w+)"
    r"(?:/(?P<uuid>[0-9a-f-]{36})(?:/(?P<place>relationships/)?(?P<name>\w+))?|/(?P<upload>field_\w+))?)?/?"
)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_NO_PICTURE = (
    "Unprocessable Entity: file validation failed.\n"
    "The image file is invalid or the image type is not allowed. Allowed types: png, jpeg, jpg, jpe, gif, webp"
)
_TRANSLATIONS = "https://www.drupal.org/docs/8/modules/jsonapi/translations"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, taken apart."""

    request: Request
    viewer: Viewer
    shown: Documents
    about: ResourceType
    params: queries.Params
    langcode: str
    via: str


class JsonApi:
    """Answers what lies under `/jsonapi`, also below a language prefix."""

    def __init__(self, site: Site, authentication: Authentication, site_name: str) -> None:
        self._site = site
        self._authentication = authentication
        self._site_name = site_name

    def answer(self, request: Request) -> Response:
        """Any request; what is no resource of ours is an HTML page with 404."""
        match = _PATH.fullmatch(request.path)
        language = match["language"] if match else None
        if match is None or (language and language not in self._site.languages):
            return self._page_not_found()
        langcode = language or self._site.languages[0]
        response = self._resource(request, match, langcode)
        response.headers["Content-Language"] = langcode
        return response

    def _resource(self, request: Request, match: re.Match[str], langcode: str) -> Response:
        about = self._site.types.get(f"{match['entity']}--{match['bundle']}")
        if match["entity"] and about is None:
            return self._page_not_found()
        params = queries.parse(request.query_string.decode())
        prefix = f"/{match['language']}" if match["language"] else ""
        via = f"{request.host_url.rstrip('/')}{request.path}{queries.normalized(params)}"
        try:
            _check_method(request, match, about, via)
            viewer = self._authentication.viewer(request.headers.get("Authorization"), request.remote_addr or "")
            shown = Documents(self._site.entities, viewer, f"{request.host_url.rstrip('/')}{prefix}/jsonapi", langcode, params)
            queries.check_names(params)
            if about is None:
                return self._index(shown)
            return self._answer(_Asked(request, viewer, shown, about, params, langcode, via), match)
        except Problem as problem:
            return self._problem(problem, via)

    def _answer(self, asked: _Asked, match: re.Match[str]) -> Response:
        if not match["uuid"]:
            return self._of_type(asked, match["upload"])
        entity = self._site.entities.find(match["uuid"], asked.about.name)
        if entity is None:
            raise _not_converted(asked.about, match)
        if match["place"]:
            return self._relationship(asked, entity, match["name"])
        if match["name"]:
            return self._related(asked, entity, match["name"])
        match asked.request.method:
            case "PATCH":
                return self._update(asked, entity)
            case "DELETE":
                return self._delete(asked, entity)
        return self._individual(asked, entity)

    def _of_type(self, asked: _Asked, upload: str | None) -> Response:
        if upload:
            return self._upload(asked, upload)
        return self._create(asked) if asked.request.method == "POST" else self._collection(asked)

    def _index(self, shown: Documents) -> Response:
        links = {name: {"href": f"{shown.base}/{about.path}"} for name, about in self._site.types.items()}
        user = shown.viewer.user
        me = {"me": {"meta": {"id": user.uuid}, "href": f"{shown.base}/user/user/{user.uuid}"}} if user else {}
        return _reply(document(data=[], **({"meta": {"links": me}} if me else {}), links={**links, "self": {"href": shown.base}}))

    def _individual(self, asked: _Asked, entity: Entity) -> Response:
        self._allow(asked, "view", entity)
        included = self._included(asked, [entity])
        return _reply(document(data=asked.shown.resource(entity), **included, links={"self": {"href": asked.via}}))

    def _collection(self, asked: _Asked) -> Response:
        found = queries.Selection(self._site.entities, self._site.types).select(asked.about, asked.params)
        offset, size = queries.page(asked.params)
        seen = asked.shown.visible(found[offset : offset + size])
        included = self._included(asked, seen)
        allowed = refusal(asked.viewer, "view", asked.about) is None
        base = f"{asked.shown.base}/{asked.about.path}"
        pages = queries.page_links(asked.params, more=allowed and len(found) > offset + size)
        links = {**{name: {"href": base + query} for name, query in pages.items()}, "self": {"href": asked.via}}
        return _reply(document(data=[asked.shown.resource(one) for one in seen], **included, **asked.shown.meta(), links=links))

    def _included(self, asked: _Asked, entities: list[Entity]) -> Json:
        if "include" not in asked.params:
            return {}
        check_include(asked.about, asked.params["include"].split(",")[0].split(".")[0])
        return {"included": asked.shown.included(entities)}

    def _related(self, asked: _Asked, entity: Entity, name: str) -> Response:
        self._allow(asked, "view", entity)
        check_include(entity.type, name)
        targets = asked.shown.visible(self._site.entities.get(uuid) for uuid in entity.targets(name))
        shown = [asked.shown.resource(one) for one in targets]
        data = shown if entity.type.references[name].many else next(iter(shown), None)
        return _reply(document(data=data, **asked.shown.meta(), links={"self": {"href": asked.via}}))

    def _relationship(self, asked: _Asked, entity: Entity, name: str) -> Response:
        check_include(entity.type, name)
        if asked.request.method in ("GET", "HEAD"):
            self._allow(asked, "view", entity)
            return _reply(document(**asked.shown.relationship(entity, name)))
        self._allow(asked, "update", entity)
        given = writes.identified(self._site, entity.type.references[name], writes.decoded(asked.request.get_data()).get("data"))
        draft = entity.copy()
        draft.references[name] = _combined(asked.request.method, entity.references[name], given)
        self._site.save(draft)
        if asked.request.method == "DELETE":
            return _reply(None, 204)
        return _reply(document(**asked.shown.relationship(draft, name)))

    def _create(self, asked: _Asked) -> Response:
        self._allow(asked, "create", None)
        data = writes.resource_object(asked.request.get_data())
        owner = asked.viewer.user.uuid if asked.viewer.user else ""
        draft = writes.create(self._site, asked.about, data, owner=owner, langcode=asked.langcode)
        self._site.save(draft)
        links = {"self": {"href": asked.via}}
        response = _reply(document(data=asked.shown.resource(draft), links=links), 201)
        response.headers["Location"] = asked.shown.url(draft)
        return response

    def _upload(self, asked: _Asked, name: str) -> Response:
        """A file for a field: https://www.drupal.org/node/3024331"""
        self._allow(asked, "create", None)
        check_include(asked.about, name)
        told = re.fullmatch(r'file; filename="([^"]+)"', asked.request.headers.get("Content-Disposition", ""))
        if told is None:
            raise Problem(400, '"Content-Disposition" header is required. A file name in the format "filename=FILENAME" must be provided.')
        content = asked.request.get_data()
        if not content.startswith(_PICTURES):
            raise Problem(422, _NO_PICTURE, info="")
        values = {"filename": told[1], "uri": {"value": f"public://{told[1]}"}, "filemime": "image/jpeg", "filesize": len(content)}
        draft = self._site.draft(FILE, values, {})
        self._site.save(draft)
        return _reply(document(data=asked.shown.resource(draft), links={"self": {"href": asked.via}}), 201)

    def _update(self, asked: _Asked, entity: Entity) -> Response:
        self._allow(asked, "update", entity)
        if asked.about.translatable and asked.langcode not in (entity.langcode, *entity.translations):
            exist = ", ".join([entity.langcode, *entity.translations])
            detail = "The requested translation of the resource object does not exist, instead modify one of the translations that do exist"
            raise Problem(405, f"{detail}: {exist}.", headers={"Allow": "GET"})
        langcode = asked.langcode if asked.about.translatable else entity.langcode
        data = writes.resource_object(asked.request.get_data())
        draft = writes.update(self._site, entity, data, langcode=langcode)
        if self._site.meanwhile:
            self._site.meanwhile(entity)
            writes.check_current(self._site, entity)
        self._site.save(draft)
        return _reply(document(data=asked.shown.resource(draft), links={"self": {"href": asked.via}}))

    def _delete(self, asked: _Asked, entity: Entity) -> Response:
        self._allow(asked, "delete", entity)
        if asked.langcode != entity.langcode and asked.about.translatable:
            detail = f"Deleting a resource object translation is not yet supported. See {_TRANSLATIONS}."
            raise Problem(405, detail, headers={"Allow": "GET"})
        self._site.delete(entity)
        return _reply(None, 204)

    def _allow(self, asked: _Asked, operation: str, entity: Entity | None) -> None:
        why = refusal(asked.viewer, operation, asked.about, entity)
        if why is None:
            return
        if asked.viewer.user is None and not asked.viewer.tried:
            challenge = {"WWW-Authenticate": f'Basic realm="{self._site_name}"'}
            raise Problem(401, "No authentication credentials provided.", headers=challenge)
        if operation == "view":
            raise Problem(403, refused_view(why), pointer="/data")
        raise Problem(403, why)

    def _problem(self, problem: Problem, via: str) -> Response:
        response = _reply(document(errors=problem.errors(via)), problem.status)
        response.headers.extend(problem.headers)
        return response

    def _page_not_found(self) -> Response:
        page = f'<!DOCTYPE html>\n<html lang="en"><head><title>Page not found | {self._site_name}</title></head><body></body></html>\n'
        return Response(page, 404, content_type="text/html; charset=UTF-8", headers={"Content-Language": self._site.languages[0]})


def _reply(body: Any, status: int = 200) -> Response:
    if body is None:
        response = Response(status=status)
        del response.headers["Content-Type"]
        return response
    return Response(json.dumps(body, ensure_ascii=False), status, content_type=_TYPE)


def _check_method(request: Request, match: re.Match[str], about: ResourceType | None, via: str) -> None:
    allowed = _methods(match, about)
    if request.method not in allowed:
        names = ", ".join(allowed)
        detail = f'No route found for "{request.method} {via}": Method Not Allowed (Allow: {names})'
        raise Problem(405, detail, headers={"Allow": names})
    if request.method in ("POST", "PATCH") or (request.method == "DELETE" and match["place"]):
        if not request.content_type:
            raise Problem(415, 'No "Content-Type" request header specified')
        if request.mimetype != ("application/octet-stream" if match["upload"] else _TYPE):
            raise Problem(415, f'No route found that matches "Content-Type: {request.content_type}"')


def _methods(match: re.Match[str], about: ResourceType | None) -> list[str]:
    if about is not None and match["upload"]:
        return ["POST"]
    if about is None or about.config or (match["name"] and not match["place"]):
        return ["GET", "HEAD"]
    if match["place"]:
        return ["GET", "HEAD", "POST", "PATCH", "DELETE"]
    return ["GET", "HEAD", "DELETE", "PATCH"] if match["uuid"] else ["GET", "HEAD", "POST"]


def _not_converted(about: ResourceType, match: re.Match[str]) -> Problem:
    tail = f"/{match['place'] or ''}{match['name']}" if match["name"] else ""
    route = f"{match['name']}.{'relationship' if match['place'] else 'related'}" if match["name"] else "individual"
    path = f"/jsonapi/{about.path}/{{entity}}{tail}"
    return Problem(404, f'The "entity" parameter was not converted for the path "{path}" (route name: "jsonapi.{about.name}.{route}")')


def _combined(method: str, held: Any, given: Any) -> Any:
    if method == "PATCH" or not isinstance(held, list):
        return given
    if method == "POST":
        return [*held, *(one for one in given if one not in held)]
    return [one for one in held if one not in given]
