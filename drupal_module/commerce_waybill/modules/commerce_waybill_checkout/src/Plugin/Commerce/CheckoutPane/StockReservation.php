<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Plugin\Commerce\CheckoutPane;

use Drupal\commerce_checkout\Plugin\Commerce\CheckoutFlow\CheckoutFlowInterface;
use Drupal\commerce_checkout\Plugin\Commerce\CheckoutPane\CheckoutPaneBase;
use Drupal\commerce_waybill_checkout\Stock\Reservations;
use Drupal\Core\Form\FormStateInterface;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * Keeps the goods before the customer pays, or says what is missing.
 *
 * @CommerceCheckoutPane(
 *   id = "waybill_stock",
 *   label = @Translation("Stock reservation"),
 *   admin_description = @Translation("Shows nothing. Reserves the goods when the customer goes on to pay; belongs on the step before the payment."),
 *   default_step = "review",
 *   wrapper_element = "container",
 * )
 */
class StockReservation extends CheckoutPaneBase {

  /**
   * Keeps the goods.
   */
  protected Reservations $reservations;

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container, array $configuration, $plugin_id, $plugin_definition, ?CheckoutFlowInterface $checkout_flow = NULL) {
    $pane = parent::create($container, $configuration, $plugin_id, $plugin_definition, $checkout_flow);
    $pane->reservations = $container->get(Reservations::class);
    return $pane;
  }

  /**
   * {@inheritdoc}
   */
  public function buildPaneForm(array $pane_form, FormStateInterface $form_state, array &$complete_form): array {
    return $pane_form;
  }

  /**
   * {@inheritdoc}
   */
  public function validatePaneForm(array &$pane_form, FormStateInterface $form_state, array &$complete_form): void {
    $missing = $this->reservations->reserve($this->order);
    if ($missing === NULL) {
      $form_state->setError($pane_form, $this->t('Many customers want the same just now. Please try again.'));
    }
    elseif ($missing) {
      // One message: a form keeps only the first one of each element.
      $form_state->setError($pane_form, $this->t('There is not enough left of %goods. Please change your cart.', [
        '%goods' => implode(', ', $missing),
      ]));
    }
  }

}
