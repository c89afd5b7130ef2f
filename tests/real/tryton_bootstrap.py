"""Seeds a fresh Tryton database, inside Tryton's own virtual environment: `tryton_bootstrap.py DATABASE CONFIG`.

The last line that it prints is one JSON object: {"key", "company", "web_shop", "payment_term", "warehouse"}, the ids and the
REST key that tests need. Products (code, sales price in EUR): MUG-1 9.95, SHIRT-RED-M 19.90, SHIRT-RED-L 19.90; 1,000 of each
are in stock; SERVICE-1 is a service at 5.00.
"""

import json
import sys
from decimal import Decimal

from proteus import Model, config

GOODS = {"MUG-1": "9.95", "SHIRT-RED-M": "19.90", "SHIRT-RED-L": "19.90"}
COUNTRIES = {"DE": "Germany", "FR": "France", "GB": "United Kingdom", "US": "United States"}


def main(database: str, config_file: str) -> None:
    session = config.set_trytond(database=database, user="admin", config_file=config_file)
    company = _company(session)
    category = _accounts(company)
    products = _products(category)
    warehouse = _stock(products)
    for code, name in COUNTRIES.items():
        Model.get("country.country")(code=code, name=name).save()
    term = Model.get("account.invoice.payment_term")(name="Immediate")
    term.lines.new(type="remainder")
    term.save()
    shop = Model.get("web.shop")(name="Drupal", company=company, currency=company.currency)
    shop.warehouses.append(Model.get("stock.location")(warehouse.id))
    shop.save()
    facts = {"company": company.id, "web_shop": shop.id, "payment_term": term.id, "warehouse": warehouse.id}
    print(json.dumps({"key": _rest_key(session), **facts}))


def _company(session):
    from trytond.modules.company.tests.tools import create_company, get_company
    from trytond.modules.currency.tests.tools import get_currency

    create_company(currency=get_currency("EUR"))
    session._context = Model.get("res.user").get_preferences(True, {})
    return get_company()


def _accounts(company):
    """Fiscal year, chart, and the category whose accounts goods are booked on; also the default accounts, so that a sale line
    without a product can be invoiced."""
    from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
    from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences

    set_fiscalyear_invoice_sequences(create_fiscalyear(company)).click("create_period")
    create_chart(company)
    accounts = get_accounts(company)
    books = Model.get("account.configuration")(1)
    books.default_category_account_revenue = accounts["revenue"]
    books.default_category_account_expense = accounts["expense"]
    books.save()
    category = Model.get("product.category")(name="Goods", accounting=True)
    category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
    category.save()
    return category


def _products(category):
    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])

    def made(code, price, kind):
        template = Model.get("product.template")(name=code.title(), type=kind, default_uom=unit, salable=True)
        template.list_price = Decimal(price)
        template.account_category = category
        (product,) = template.products
        product.suffix_code = code
        template.save()
        return template.products[0]

    made("SERVICE-1", "5.00", "service")
    return [made(code, price, "goods") for code, price in GOODS.items()]


def _stock(products):
    (warehouse,) = Model.get("stock.location").find([("type", "=", "warehouse")])
    inventory = Model.get("stock.inventory")(location=warehouse.storage_location)
    for product in products:
        inventory.lines.new(product=product, quantity=1000.0)
    inventory.save()
    inventory.click("confirm")
    return warehouse


def _rest_key(session):
    application = Model.get("res.user.application")(user=Model.get("res.user")(session.user), application="rest")
    application.save()
    if application.state != "validated":
        application.click("validate_")
    return application.key


if __name__ == "__main__":
    main(*sys.argv[1:3])
